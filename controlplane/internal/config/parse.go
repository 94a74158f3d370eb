package config

// Parse reads a configuration. file is its name in messages; nothing is read from it. Mistakes come all at once, in the
// order of the file, and then there is no Config. Warnings are about what is legal and probably not meant. Neither holds
// a secret. It keeps nothing of data and is safe for concurrent use.
func Parse(file string, data []byte) (c *Config, mistakes, warnings Mistakes) {
	root, syntax := parseTree(data)
	if syntax != nil {
		syntax.File = file
		return nil, Mistakes{*syntax}, nil
	}
	d := &decoder{file: file}
	top := &place{node: root}
	c = new(Config)
	globalSettings.reset(c)
	globalSettings.decode(d, top, c)
	d.checkServices(c)
	d.checkKeys(c)
	if len(d.mistakes) > 0 {
		return nil, d.mistakes.inOrder(d.omitted), nil
	}
	d.warnAbout(c)
	return c, nil, d.warnings.inOrder(0)
}
