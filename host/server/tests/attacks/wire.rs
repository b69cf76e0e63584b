//! A bare connection.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A connection from one of this machine's own addresses.
pub async fn connect_from(from: impl Into<IpAddr>, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from.into(), 0).into()).expect("an address of this machine");
    socket.connect(to).await.expect("connected")
}

/// Sends bytes, and gives all that is said until the connection ends.
pub async fn said_to(address: SocketAddr, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).await.expect("connected");
    connection.write_all(bytes).await.expect("sent");
    rest_of(&mut connection).await
}

/// All that is said until the connection ends.
pub async fn rest_of(connection: &mut TcpStream) -> String {
    let mut told = Vec::new();
    let reading = connection.read_to_end(&mut told);
    // A reset after an answer ends it as well.
    let _ = tokio::time::timeout(PATIENCE, reading).await.expect("the connection is closed");
    String::from_utf8_lossy(&told).into_owned()
}

/// How many answers are in what was said.
pub fn answers(told: &str) -> usize {
    told.matches("HTTP/1.1 ").count() + told.matches("HTTP/1.0 ").count()
}

/// The status of the first answer.
pub fn status(told: &str) -> u16 {
    let word = told.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {told:?}"));
    word.parse().unwrap_or_else(|_| panic!("no answer: {told:?}"))
}
