package config

// badFiles is what Parse says to each testdata/<name>.bad.yaml, without the name of the file.
var badFiles = map[string][]string{
	"alias": {
		`2:11: listener: alias, got * (want the value itself)`,
	},
	"alias_bomb": {
		`1:1: a: unknown field (want port, trusted_proxies, underscore_headers, max_body, transport, listener, tls, limits, middleware_config, services)`,
		`2:1: b: unknown field (want port, trusted_proxies, underscore_headers, max_body, transport, listener, tls, limits, middleware_config, services)`,
		`3:1: c: unknown field (want port, trusted_proxies, underscore_headers, max_body, transport, listener, tls, limits, middleware_config, services)`,
		`4:11: services: alias, got * (want the value itself)`,
	},
	"alias_unknown": {
		`1:1: alias of an unknown anchor (quote a value that begins with *)`,
	},
	"auth_unknown": {
		`2:17: middleware_config.auth_apikey: unknown field (want valid_keys, forward_key)`,
		`2:27: middleware_config.auth_apikey.forward_keys: unknown field, did you mean forward_key?`,
	},
	"burst_2_63": {
		`6:23: services[0].rate_limit_burst: out of range, got 9223372036854775808 (want 1 to 1000000000)`,
	},
	"burst_2_64": {
		`6:23: services[0].rate_limit_burst: out of range, got 18446744073709551616 (want 1 to 1000000000)`,
	},
	"burst_fraction": {
		`6:23: services[0].rate_limit_burst: not a whole number, got 1.5 (want 1 to 1000000000)`,
	},
	"burst_octal": {
		`6:23: services[0].rate_limit_burst: not a whole number, got 010 (want 1 to 1000000000)`,
	},
	"burst_zero": {
		`6:23: services[0].rate_limit_burst: out of range, got 0 (want 1 to 1000000000)`,
	},
	"cb_reset": {
		`6:31: services[0].cb_reset_timeout_seconds: out of range, got 0 (want 0.001 to 86400 seconds)`,
	},
	"cb_reset_duration": {
		`6:31: services[0].cb_reset_timeout_seconds: not a decimal number, got "10s" (want 0.001 to 86400 seconds)`,
	},
	"cb_reset_long": {
		`6:31: services[0].cb_reset_timeout_seconds: out of range, got 86401 (want 0.001 to 86400 seconds)`,
	},
	"cb_threshold": {
		`6:27: services[0].cb_failure_threshold: out of range, got 1000001 (want 1 to 1000000)`,
	},
	"comment_only": {
		`1:1: empty file (want services)`,
	},
	"control_character": {
		`2:8: not text, got byte 0x07 (want UTF-8 without control characters)`,
	},
	"empty": {
		`1:1: empty file (want services)`,
	},
	"field_mapping": {
		`2:5: transport: name of a field is not text (quote it)`,
	},
	"field_not_text": {
		`2:3: transport: name of a field is not text (quote it)`,
	},
	"field_twice": {
		`3:1: port: given twice, first on line 1`,
	},
	"forward_key": {
		`2:30: middleware_config.auth_apikey.forward_key: not a truth value, got "yes" (want true or false)`,
	},
	"key_fields": {
		`4:9: middleware_config.auth_apikey.valid_keys[0]: unknown field (want name, key, sha256)`,
		`5:10: middleware_config.auth_apikey.valid_keys[1].nmae: unknown field, did you mean name?`,
		`6:9: middleware_config.auth_apikey.valid_keys[2]: got 0 of key and sha256 (want one of them)`,
		`7:45: middleware_config.auth_apikey.valid_keys[3].sha256: not a SHA-256, got a number of 64 characters (want 64 hex digits in quotes)`,
		`8:37: middleware_config.auth_apikey.valid_keys[4]: given twice, first on line 8`,
	},
	"key_hash": {
		`4:27: middleware_config.auth_apikey.valid_keys[0].sha256: not a SHA-256, got text of 9 characters (want 64 hex digits in quotes)`,
		`5:27: middleware_config.auth_apikey.valid_keys[1].sha256: not a SHA-256, got a number of 64 characters (want 64 hex digits in quotes)`,
		`6:27: middleware_config.auth_apikey.valid_keys[2].sha256: not a SHA-256, got text of 64 characters (want 64 hex digits in quotes)`,
		`7:27: middleware_config.auth_apikey.valid_keys[3].sha256: wrong type, got a mapping (want 64 hex digits in quotes)`,
	},
	"key_long": {
		`4:9: middleware_config.auth_apikey.valid_keys[0]: secret: wrong length, got 257 bytes (want 1 to 256)`,
	},
	"key_name": {
		`4:16: middleware_config.auth_apikey.valid_keys[0].name: not a name, got text of 11 characters (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
		`5:16: middleware_config.auth_apikey.valid_keys[1].name: not a name, got a number of 1 characters (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
		`6:16: middleware_config.auth_apikey.valid_keys[2].name: wrong type, got a list (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
	},
	"key_twice": {
		`5:9: middleware_config.auth_apikey.valid_keys[1]: same key as middleware_config.auth_apikey.valid_keys[0] on line 4 (want each once)`,
		`7:9: middleware_config.auth_apikey.valid_keys[3]: same name as middleware_config.auth_apikey.valid_keys[2] on line 6, got "alice" (want one of its own)`,
	},
	"keys_mapping": {
		`3:17: middleware_config.auth_apikey.valid_keys: wrong type, got a mapping (want a list of keys)`,
	},
	"keys_types": {
		`4:9: middleware_config.auth_apikey.valid_keys[0]: not text, got a number (want text in quotes, or {name, key} or {name, sha256})`,
		`5:9: middleware_config.auth_apikey.valid_keys[1]: not text, got a date (want text in quotes, or {name, key} or {name, sha256})`,
		`6:9: middleware_config.auth_apikey.valid_keys[2]: wrong type, got a list (want text in quotes, or {name, key} or {name, sha256})`,
		`7:8: middleware_config.auth_apikey.valid_keys[3]: not text, got nothing (want text in quotes, or {name, key} or {name, sha256})`,
		`8:9: middleware_config.auth_apikey.valid_keys[4]: secret: wrong length, got 0 bytes (want 1 to 256)`,
		`9:9: middleware_config.auth_apikey.valid_keys[5]: secret: space at an end, got 10 bytes (want none)`,
		`10:9: middleware_config.auth_apikey.valid_keys[6]: secret: wrong character, got 9 bytes (want printable ASCII)`,
	},
	"limits": {
		`1:30: limits.rate_limit_buckets: out of range, got 0 (want 1 to 100000000)`,
	},
	"listener_range": {
		`2:17: listener.head_timeout: out of range, got "61m" (want 1ms to 1h)`,
		`3:17: listener.body_timeout: out of range, got "-1s" (want 1ms to 24h)`,
		`4:17: listener.idle_timeout: out of range, got "25h" (want 1ms to 24h)`,
		`5:17: listener.max_requests: out of range, got 0 (want 1 to 1000000000)`,
		`6:12: listener.max_age: out of range, got "1ms" (want 1s to 720h)`,
		`7:20: listener.max_connections: not a whole number, got 1e3 (want 1 to 1000000)`,
	},
	"max_body": {
		`1:11: max_body: not a size, got "10MB" (want bytes as 65536, 64KiB, 10MiB, 1GiB, at most 1024GiB, or 0: no bound)`,
	},
	"max_body_negative": {
		`1:11: max_body: out of range, got -1 (want bytes as 65536, 64KiB, 10MiB, 1GiB, at most 1024GiB, or 0: no bound)`,
	},
	"max_body_range": {
		`1:11: max_body: out of range, got "2000GiB" (want bytes as 65536, 64KiB, 10MiB, 1GiB, at most 1024GiB, or 0: no bound)`,
	},
	"merge_key": {
		`2:3: transport."<<": merge key (want the fields themselves)`,
	},
	"middleware_bad_name": {
		`2:14: middleware_config."my header": not a name (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
	},
	"middleware_builtin": {
		`2:15: middleware_config.rate_limit: built in and configured in each service (want auth_apikey or a name of your own)`,
	},
	"middleware_deep": {
		`2:47: middleware_config.custom.a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: nested too deeply (want at most 32 levels)`,
	},
	"middleware_json": {
		`3:8: middleware_config.custom.a: not a decimal number, got .nan (want digits as in JSON, or quotes)`,
		`4:8: middleware_config.custom.b: not a decimal number, got 0x10 (want digits as in JSON, or quotes)`,
		`6:9: middleware_config.custom.d: name of a field is not text (quote it)`,
	},
	"middleware_name": {
		`5:18: services[0].middleware[0]: not a name, got "rate limit" (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
		`5:32: services[0].middleware[1]: not a name, got 5 (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
	},
	"middleware_not_mapping": {
		`2:11: middleware_config.custom: wrong type, got a number (want a mapping, {} if there is nothing to set)`,
		`3:9: middleware_config.other: wrong type, got nothing (want a mapping, {} if there is nothing to set)`,
	},
	"middleware_text": {
		`5:17: services[0].middleware: wrong type, got text (want a list)`,
	},
	"middleware_unknown": {
		`5:30: services[0].middleware[1]: unknown middleware, got "auth_api_key", did you mean auth_apikey?`,
		`5:44: services[0].middleware[2]: unknown middleware, got "tracing" (want auth_apikey, rate_limit, circuit_breaker, metrics, or a name under middleware_config)`,
		`5:62: services[0].middleware[4]: same middleware twice, got "metrics" (want each once)`,
	},
	"no_services": {
		`1:1: services: missing (want 1 to 100000 services)`,
	},
	"not_utf8": {
		`1:8: not text, got byte 0xff (want UTF-8 without control characters)`,
	},
	"null": {
		`1:1: empty file (want services)`,
	},
	"pattern": {
		`3:20: services[0].route_pattern: character 1: no path, got "users" (want "/users", or "users/" for a host)`,
	},
	"pattern_conflict": {
		`7:20: services[1].route_pattern: takes the same requests as services[0] on line 2, got "/users/{name}" and "/users/{id}" (want one more specific)`,
	},
	"pattern_number": {
		`3:20: services[0].route_pattern: not a pattern, got 5 (want text such as "/users")`,
	},
	"poison_merge": {
		`1:1: services: missing (want 1 to 100000 services)`,
		`1:2: name of a field is not text (quote it)`,
		`1:5: "<<": merge key (want the fields themselves)`,
	},
	"port_number": {
		`1:7: port: not a listen address, got 8080 (want ":8080" or "host:8080", port 0 to 65535)`,
	},
	"port_range": {
		`1:7: port: out of range, got ":65536" (want ":8080" or "host:8080", port 0 to 65535)`,
	},
	"port_word": {
		`1:7: port: not a listen address, got "http" (want ":8080" or "host:8080", port 0 to 65535)`,
	},
	"root_list": {
		`1:1: wrong type, got a list (want a mapping)`,
	},
	"root_text": {
		`1:1: wrong type, got text (want a mapping)`,
	},
	"rps_hex": {
		`6:21: services[0].rate_limit_rps: not a decimal number, got 0x10 (want more than 0, at most 1e9)`,
	},
	"rps_huge": {
		`6:21: services[0].rate_limit_rps: not a decimal number, got "1e999" (want more than 0, at most 1e9)`,
	},
	"rps_inf": {
		`6:21: services[0].rate_limit_rps: not a decimal number, got .inf (want more than 0, at most 1e9)`,
	},
	"rps_large": {
		`6:21: services[0].rate_limit_rps: out of range, got 1.1e9 (want more than 0, at most 1e9)`,
	},
	"rps_nan": {
		`6:21: services[0].rate_limit_rps: not a decimal number, got .nan (want more than 0, at most 1e9)`,
	},
	"rps_text": {
		`6:21: services[0].rate_limit_rps: not a decimal number, got "fast" (want more than 0, at most 1e9)`,
	},
	"rps_zero": {
		`6:21: services[0].rate_limit_rps: out of range, got 0 (want more than 0, at most 1e9)`,
	},
	"second_document_broken": {
		`8:1: not YAML, did not find expected node content`,
	},
	"service_empty": {
		`2:5: services[0].name: missing (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
		`2:5: services[0].route_pattern: missing (want [METHOD ][HOST]/PATH)`,
		`2:5: services[0].urls: missing (want 1 to 256 URLs, http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`3:5: services[1]: wrong type, got text (want a mapping)`,
	},
	"service_name": {
		`2:11: services[0].name: not a name, got "us ers" (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
		`6:11: services[1].name: not a name, got "" (want 1 to 64 of A-Z a-z 0-9 . _ -)`,
	},
	"service_name_twice": {
		`6:11: services[1].name: same name as services[0] on line 2, got "users" (want one of its own)`,
	},
	"service_rest": {
		`6:15: services[0].max_body: not a size, got "lots" (want bytes as 65536, 64KiB, 10MiB, 1GiB, at most 1024GiB, or 0: no bound)`,
		`7:25: services[0].first_byte_timeout: out of range, got "0s" (want 1ms to 24h)`,
		`8:26: services[0].stream_idle_timeout: out of range, got "721h" (want 1ms to 720h)`,
		`9:14: services[0].timeout: out of range, got "-1s" (want 1ms to 24h, or 0s: none)`,
		`10:11: services[0].host: not one of two words, got "backend" (want client or upstream)`,
		`11:16: services[0].websocket: not a truth value, got "yes please" (want true or false)`,
		`12:20: services[0].encoded_slash: not one of two words, got true (want pass or refuse)`,
	},
	"services_mapping": {
		`1:11: services: wrong type, got a mapping (want a list)`,
	},
	"services_none": {
		`1:11: services: wrong number of items, got 0 (want 1 to 100000)`,
	},
	"services_null": {
		`1:10: services: wrong type, got nothing (want a list)`,
	},
	"syntax": {
		`3:1: not YAML, did not find expected ',' or ']'`,
	},
	"syntax_tab": {
		`2:1: not YAML, found character that cannot start any token`,
	},
	"tag": {
		`1:7: port: tag, got !!str (want none: the value alone, in quotes if it begins with !)`,
		`2:11: max_body: tag, got !size (want none: the value alone, in quotes if it begins with !)`,
		`5:19: middleware_config.auth_apikey.valid_keys[0]: tag, got ! (want none: the value alone, in quotes if it begins with !)`,
	},
	"transport_list": {
		`1:12: transport: wrong type, got a list (want a mapping)`,
	},
	"transport_range": {
		`2:13: transport.max_idle: out of range, got -1 (want 0 to 1000000)`,
		`3:22: transport.max_idle_per_host: out of range, got 9223372036854775808 (want 0 to 1000000)`,
		`4:17: transport.idle_timeout: out of range, got "0s" (want 1ms to 24h)`,
		`5:20: transport.connect_timeout: out of range, got "2h" (want 1ms to 1h)`,
		`6:26: transport.tls_handshake_timeout: not a duration such as 90s, got 10 (want 1ms to 1h)`,
		`7:23: transport.first_byte_timeout: not a duration such as 90s, got "soon" (want 1ms to 24h)`,
		`8:17: transport.read_timeout: out of range, got "1.5us" (want 1ms to 24h)`,
	},
	"trusted_proxies": {
		`1:19: trusted_proxies[0]: not a network, got "10.0.0.0/33" (want CIDR as 10.0.0.0/8, or an IP address)`,
		`1:32: trusted_proxies[1]: not a network, got "proxy.local" (want CIDR as 10.0.0.0/8, or an IP address)`,
		`1:55: trusted_proxies[3]: not a network, got 7 (want CIDR as 10.0.0.0/8, or an IP address)`,
		`1:58: trusted_proxies[4]: not a network, got "fe80::1%eth0" (want CIDR as 10.0.0.0/8, or an IP address)`,
	},
	"two_documents": {
		`6:1: second YAML document, got --- or ... (want one document)`,
	},
	"underscore_headers": {
		`1:21: underscore_headers: not one of two words, got "keep" (want drop or pass)`,
	},
	"unknown_field": {
		`6:5: services[0].rate_limit_rsp: unknown field, did you mean rate_limit_rps?`,
	},
	"unknown_field_far": {
		`6:5: services[0].colour: unknown field (want name, route_pattern, urls, middleware, rate_limit_rps, rate_limit_burst, cb_failure_threshold, cb_reset_timeout_seconds, max_body, first_byte_timeout, stream_idle_timeout, timeout, host, upstream_tls, websocket, encoded_slash)`,
	},
	"tls": {
		`4:19: tls.certificates[1].cert_file: same file as tls.certificates[0], got "a.crt" (want each once)`,
		`4:36: tls.certificates[1].key_file: out of range, got "" (want a path of 1 to 4096 bytes)`,
		`4:40: tls.certificates[1].password: unknown field (want cert_file, key_file)`,
		`5:7: tls.certificates[2].cert_file: missing (want a path of 1 to 4096 bytes)`,
		`6:7: tls.certificates[3]: wrong type, got text (want a mapping)`,
		`7:3: tls.client_ca: unknown field (want certificates, client_ca_file, require_client_certificate)`,
		`8:31: tls.require_client_certificate: got no client_ca_file (want one beside it)`,
	},
	"tls_empty": {
		`1:6: tls.certificates: missing (want 1 to 1000 of {cert_file, key_file})`,
	},
	"tls_none": {
		`1:21: tls.certificates: wrong number of items, got 0 (want 1 to 1000)`,
	},
	"unknown_global": {
		`1:1: middlewares: unknown field (want port, trusted_proxies, underscore_headers, max_body, transport, listener, tls, limits, middleware_config, services)`,
	},
	"unknown_odd_name": {
		`1:1: "a\nb: c": unknown field (want port, trusted_proxies, underscore_headers, max_body, transport, listener, tls, limits, middleware_config, services)`,
	},
	"upstream_tls": {
		`5:29: services[0].upstream_tls.ca_file: out of range, got "" (want a path of 1 to 4096 bytes)`,
		`5:46: services[0].upstream_tls.server_name: not a server name, got "a b" (want a DNS name or an IP address)`,
		`5:64: services[0].upstream_tls.cert_file: not the name of a file, got 5 (want a path of 1 to 4096 bytes)`,
		`9:19: services[1].upstream_tls: cert_file alone, got no key_file (want both or none)`,
		`13:19: services[2].upstream_tls: key_file alone, got no cert_file (want both or none)`,
		`13:37: services[2].upstream_tls.ca: unknown field (want ca_file, server_name, cert_file, key_file)`,
		`16:44: services[3].urls[2]: unknown scheme, got "h3://host" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`17:19: services[3].upstream_tls: wrong type, got text (want a mapping)`,
	},
	"urls": {
		`5:9: services[0].urls[0]: not an absolute URL, got "localhost:9001" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`6:9: services[0].urls[1]: not an absolute URL, got "/path" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`7:9: services[0].urls[2]: unknown scheme, got "ftp://host" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`8:9: services[0].urls[3]: no host, got "http://" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`9:9: services[0].urls[4]: no host, got "http://:80" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`10:9: services[0].urls[5]: port out of range, got "http://host:0" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`11:9: services[0].urls[6]: port out of range, got "http://host:70000" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`12:9: services[0].urls[7]: no port behind the colon, got "http://host:" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`13:9: services[0].urls[8]: user in the URL, got "…@host" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`14:9: services[0].urls[9]: query or fragment in the URL, got "http://host/?q" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`15:9: services[0].urls[10]: query or fragment in the URL, got "http://host/#f" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`16:9: services[0].urls[11]: dot segment in the path, got "http://host/../x" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`17:9: services[0].urls[12]: not a URL, got "http://ho st" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`19:9: services[0].urls[14]: same URL twice, got "http://host" (want each once)`,
		`20:9: services[0].urls[15]: not an absolute URL, got 5 (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
		`21:9: services[0].urls[16]: URL too long, got "http://xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" (want http:// or https://, for HTTP/2 h2c:// or h2://)`,
	},
	"urls_many": {
		`4:11: services[0].urls: wrong number of items, got 257 (want 1 to 256)`,
	},
	"urls_none": {
		`4:11: services[0].urls: wrong number of items, got 0 (want 1 to 256)`,
	},
	"urls_text": {
		`4:11: services[0].urls: wrong type, got text (want a list)`,
	},
}
