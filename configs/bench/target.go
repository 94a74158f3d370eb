package main

import (
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"text/template"
)

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "templates/*"))

// apiKey is one that every proxy knows.
type apiKey struct{ Name, Secret string }

const (
	keyCount = 1000
	// limit is a rate that nothing here can reach: the counting is measured, not the refusing.
	limit = 100_000_000
	// spareConnections are for the check, and for what a load generator still closes while it begins again.
	spareConnections = 1000
)

// place is what the templates are filled in with.
type place struct {
	Listen          string
	Backends        []string
	Cores           int
	Dir             string // for files of the proxy
	KeyMap          string // path of keys.map
	Keys            []apiKey
	Limit           int
	Connections     int    // of clients, at most
	Cert, Key, Both string // files of the certificate, its private key, and both in one; empty: no TLS
	Open            bool   // no key is asked for, and every path is served
	Root            bool   // nginx gives up root unless told not to
	Body            int64
}

func makeKeys(n int) []apiKey {
	keys := make([]apiKey, n)
	for i := range keys {
		keys[i] = apiKey{Name: fmt.Sprintf("client-%04d", i), Secret: fmt.Sprintf("secret-of-the-client-%04d", i)}
	}
	return keys
}

// Sockets is how many a proxy has open at most: one to a backend for each of a client.
func (p place) Sockets() int { return 2 * p.Connections }

// write fills a template in and returns the path of the file.
func (p place) write(name string) (path string, err error) {
	path = filepath.Join(p.Dir, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return path, templates.ExecuteTemplate(f, name, p)
}

// target is a proxy under load.
type target struct {
	name    string
	address string
	admin   string // of the gateway; empty: it has none
	process *process
}

func (t *target) pid() int { return t.process.cmd.Process.Pid }

const (
	gateway = "gateway"
	haproxy = "HAProxy"
	nginx   = "nginx"
)

// contestant is a proxy that can be started.
type contestant struct {
	name    string
	program string // empty: built beside this one
	start   func(*bed, string, place) error
}

// contestants in the order of the report.
var contestants = []contestant{
	{gateway, "", startGateway},
	{haproxy, "haproxy", startHAProxy},
	{nginx, "nginx", startNginx},
}

// present are the contestants whose programs are found; absent are the names of the others.
func present() (found []contestant, absent []string) {
	for _, c := range contestants {
		if _, err := exec.LookPath(c.program); c.program != "" && err != nil {
			absent = append(absent, c.name)
			continue
		}
		found = append(found, c)
	}
	return found, absent
}

func startHAProxy(b *bed, name string, p place) error {
	config, err := p.write("haproxy.cfg")
	if err != nil {
		return err
	}
	return b.target(name, "", p, launch{name: "haproxy", argv: []string{"haproxy", "-db", "-f", config}})
}

func startNginx(b *bed, name string, p place) error {
	config, err := p.write("nginx.conf")
	if err != nil {
		return err
	}
	return b.target(name, "", p, launch{name: "nginx", argv: []string{"nginx", "-p", p.Dir, "-e", "stderr", "-c", config}})
}

// startGateway starts a control plane on the load generator's cores, and a data plane.
func startGateway(b *bed, name string, p place) error {
	config, err := p.write("gateway.yaml")
	if err != nil {
		return err
	}
	ports, err := freeAddresses(3)
	if err != nil {
		return err
	}
	if _, err = b.launch(launch{
		name: "controlplane", cores: b.on.load, dir: b.dir,
		argv: []string{
			filepath.Join(b.bin, "controlplane"), "--config", config, "--grpc", ports[0], "--http", ports[1],
			"--store", "bolt:" + filepath.Join(b.dir, "controlplane.db"), "--log-level", "warn",
		},
	}); err != nil {
		return err
	}
	return b.target(name, ports[2], p, launch{
		name: "dataplane", env: []string{"GOMAXPROCS=" + strconv.Itoa(p.Cores)},
		argv: []string{
			filepath.Join(b.bin, "dataplane"), "--controlplane", ports[0], "--listen", p.Listen, "--admin", ports[2], "--id", "bench",
			"--cache", filepath.Join(b.dir, "cache"), "--drain", "1s", "--log-level", "warn",
		},
	})
}

// target starts a proxy on its cores.
func (b *bed) target(name, admin string, p place, l launch) error {
	l.cores, l.dir = b.on.proxy, b.dir
	process, err := b.launch(l)
	if err != nil {
		return err
	}
	b.targets = append(b.targets, &target{name: name, address: p.Listen, admin: admin, process: process})
	return nil
}

// Ports that addresses are taken from: below those that the system gives to connections, which could take one before its proxy has it.
const firstPort, lastPort = 12_000, 30_000

// ports counts those that were looked at; each process begins elsewhere.
var ports atomic.Int64

// freeAddresses finds ports that nobody listens on, and not the same again soon.
func freeAddresses(n int) (addresses []string, err error) {
	for range lastPort - firstPort {
		port := firstPort + (int64(os.Getpid())*97+ports.Add(1))%(lastPort-firstPort)
		address := net.JoinHostPort("127.0.0.1", strconv.FormatInt(port, 10))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		if addresses = append(addresses, address); len(addresses) == n {
			return addresses, nil
		}
	}
	return nil, fmt.Errorf("ports: got %d free ones from %d to %d (want %d)", len(addresses), firstPort, lastPort, n)
}
