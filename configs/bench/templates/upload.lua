wrk.method = "POST"
wrk.body = string.rep("x", {{.Body}})
