package config

// TLS is how the public port speaks TLS. Files are named as data planes find them: no key ever comes here.
type TLS struct {
	Certificates             []Certificate // at least one; the first answers unknown names
	ClientCAFile             string        // "": no client certificate is asked for
	RequireClientCertificate bool          // needs ClientCAFile
}

// Certificate is a certificate with its key.
type Certificate struct{ CertFile, KeyFile string }

// certificateCount is no more than a data plane takes.
var certificateCount = span{1, 1000}

var tlsSettings = object[TLS]{
	{
		name: "certificates", decode: decodeCertificates, want: certificateCount.String() + " of {cert_file, key_file}", required: true,
		nested: certificateRows(),
	},
	inherited("client_ca_file", "none", path(), func(t *TLS) *string { return &t.ClientCAFile },
		"PEM file on the data planes: authorities that client certificates are verified with"),
	scalar("require_client_certificate", "false", boolean(), func(t *TLS) *bool { return &t.RequireClientCertificate },
		"refuse clients without a certificate"),
}

var certificateSettings = object[Certificate]{
	required("cert_file", path(), func(c *Certificate) *string { return &c.CertFile },
		"PEM file on the data planes: a certificate of the public port, its intermediates behind it; without `tls` the port is plain HTTP"),
	required("key_file", path(), func(c *Certificate) *string { return &c.KeyFile }, "PEM file on the data planes: its private key"),
}

func certificateRows() []Setting {
	rows := certificateSettings.describe()
	for i := range rows {
		rows[i].Name, rows[i].Default = "[]."+rows[i].Name, "required with `tls`"
	}
	return rows
}

func decodeCertificates(d *decoder, p *place, t *TLS) {
	seen := make(map[string]*place)
	d.items(p, certificateCount, func(item *place) {
		var c Certificate
		certificateSettings.decode(d, item, &c)
		if first := seen[c.CertFile]; first != nil && c.CertFile != "" {
			d.mistake(item.child("cert_file"), "same file as %v, got %q (want each once)", first, c.CertFile)
		}
		seen[c.CertFile] = item
		t.Certificates = append(t.Certificates, c)
	})
}

// decodeTLS makes the port speak TLS, which it does not without.
func decodeTLS(d *decoder, p *place, c *Config) {
	t := new(TLS)
	tlsSettings.reset(t)
	tlsSettings.decode(d, p, t)
	if t.RequireClientCertificate && t.ClientCAFile == "" {
		d.mistake(p.child("require_client_certificate"), "got no client_ca_file (want one beside it)")
	}
	c.TLS = t
}
