//! The sandbox plays the outside world, so it must be like it: its upstream is compared with the
//! real httpbin, its DNS server is asked by another library than its own.

mod dns;
mod upstream;
