// Package config reads the configuration file of the control plane: YAML in, Config out, every default filled in, or
// every mistake at once, each with its place in the file. It is the only package that knows YAML. It reads no files
// itself, logs nothing, and is safe for concurrent use.
//
// # One table
//
// settings.go lists every setting once: its name, its default as one would write it, the kind of value with its range,
// where it goes, and what it means. Decoding, the list of known names behind "did you mean", the check of ranges and
// the table in the README all come from there. A setting that is not a single value names a function that reads it.
//
// # Distrust
//
// A file may be half written, generated, or hostile. yaml.v3 only parses it, into a tree of nodes, inside recover;
// decoding walks that tree. Size, number of values and depth are bounded before memory is spent. Refused are: several
// documents, aliases (so nothing expands), tags, merge keys, names that are not text, names given twice, unknown names,
// values of another type than the setting's (8080 is not ":8080"), numbers that are not finite or not decimal.
//
// # Secrets
//
// A key that stands in the file in plain is hashed while it is read. Neither Config nor any message holds it: in and
// below valid_keys messages describe a value and never quote it.
package config
