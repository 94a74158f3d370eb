package gatewayv1

// DepartingHeader is a gRPC header of a Sync call. Any value marks the stream of a process that has handed its id over to another one
// and finishes what it has under way: it is sent every change, and no change of keys is proven before it serves that too, but it neither
// holds the id nor is it shown to operators. A control plane that does not know the header takes it for the holder of the id.
const DepartingHeader = "gateway-departing"
