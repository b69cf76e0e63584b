//! The sandbox against a plugin that attacks it, through the real runtime and real sockets.

mod bodies;
mod breaker;
mod clock;
mod egress;
mod hidden;
mod limits;
mod loading;
mod logs;
mod secrets;
mod signed_calls;
mod signers;
mod stock;
mod streams;
mod support;
mod table_bomb;
mod told;
mod upstream;
