package control

import (
	"apigateway/controlplane/internal/config"
	"apigateway/controlplane/internal/filewatch"
)

// Check reads a configuration file and returns what is wrong with it and what is probably not meant, a line each. The store's keys are not
// looked at.
func Check(file string) (mistakes, warnings []string, err error) {
	data, err := filewatch.Read(file, config.MaxBytes)
	if err != nil {
		return nil, nil, err
	}
	_, wrong, odd := config.Parse(file, data)
	return texts(wrong), texts(odd), nil
}

func texts(m config.Mistakes) []string {
	out := make([]string, len(m))
	for i, x := range m {
		out[i] = x.String()
	}
	return out
}
