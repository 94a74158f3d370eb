package snapshot

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// UnknownFields returns the numbers of the fields that this version does not know, in m and in the messages below it, as
// "15, transport.9"; "" if there are none. A field that is not known may be the one that restricts access.
func UnknownFields(m proto.Message) string {
	var found []string
	collectUnknown(m.ProtoReflect(), "", &found)
	slices.Sort(found)
	return strings.Join(slices.Compact(found), ", ")
}

func collectUnknown(m protoreflect.Message, path string, found *[]string) {
	for b := m.GetUnknown(); len(b) > 0; {
		number, _, n := protowire.ConsumeField(b)
		if n <= 0 {
			break // cannot be: it was parsed once
		}
		*found = append(*found, fmt.Sprintf("%s%d", path, number))
		b = b[n:]
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				collectUnknown(v.List().Get(i).Message(), path+string(f.Name())+".", found)
			}
		default:
			collectUnknown(v.Message(), path+string(f.Name())+".", found)
		}
		return true
	})
}
