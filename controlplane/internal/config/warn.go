package config

import "slices"

// warnAbout records what is legal in c and probably not meant.
func (d *decoder) warnAbout(c *Config) {
	var firstAuth *place
	for i := range c.Services {
		s, p := &c.Services[i], d.services[i]
		if len(s.Middleware) == 0 {
			d.warn(p, "no middleware: service %s is open to the world", s.Name)
			continue
		}
		auth, limit := slices.Index(s.Middleware, authAPIKey), slices.Index(s.Middleware, rateLimit)
		if auth >= 0 && firstAuth == nil {
			firstAuth = p.child("middleware").item(auth)
		}
		if limit >= 0 && limit < auth {
			d.warn(p.child("middleware").item(limit), "rate_limit before auth_apikey counts by client IP, not by key")
		}
	}
	switch {
	case firstAuth != nil && len(c.Keys) == 0:
		d.warn(firstAuth, "no valid key in this file: auth_apikey admits only keys of the store (gatewayctl keys add)")
	case firstAuth == nil && len(c.Keys) > 0:
		d.warn(d.keys[0], "keys are listed, but no service has auth_apikey in its middleware")
	}
}
