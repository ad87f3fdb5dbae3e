package cutproxy

// How is the way in which a connection is cut.
type How int

// The ways.
const (
	FIN     How = iota // both sides see an end
	RST                // both sides see a reset, where the transport has one
	Silence            // neither side sees anything
)

// Direction of bytes.
type Direction int

// The directions.
const (
	Never Direction = iota // neither: the connection is not cut
	Up                     // to the service
	Down                   // from the service
)

// Cut says where a connection ends. The zero value never cuts.
type Cut struct {
	Direction Direction
	After     int64 // bytes in that direction, from the connection's start
	How       How
}
