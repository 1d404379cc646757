// Package rpc is what every generated SDK shares: strict JSON reading, a validator for the embedded
// schema, JSON-RPC 2.0 clients and servers over HTTP and stdio. It knows no particular protocol; names
// of a protocol live in the package that imports this one.
package rpc
