//! A mail server (RFC 5321) that takes what it is sent and shows it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const WAIT_MAX: Duration = Duration::from_secs(30);

pub struct MailServer {
    pub address: SocketAddr,
    taken: mpsc::Receiver<Taken>,
}

#[derive(Debug)]
pub struct Taken {
    /// To whom it was handed over.
    pub to: String,
    /// Head and text.
    pub text: String,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (tell, taken) = mpsc::channel(100);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let tell = tell.clone();
                // Whoever leaves in the middle has sent nothing.
                tokio::spawn(async move { drop(serve(socket, tell).await) });
            }
        });
        Self { address, taken }
    }

    /// `[mail]` for a host that is to use it.
    pub fn setting(&self) -> String {
        format!(
            "[mail]\nserver = \"{}\"\nsecurity = \"none\"\nfrom = \"Atelier <noreply@atelier.dev>\"\n",
            self.address
        )
    }

    /// The next mail.
    pub async fn next(&mut self) -> Taken {
        tokio::time::timeout(WAIT_MAX, self.taken.recv()).await.expect("a mail in time").expect("it serves")
    }

    /// Whether nothing has come.
    pub fn is_empty(&mut self) -> bool {
        self.taken.try_recv().is_err()
    }
}

impl Taken {
    /// The code that stands on a line of its own.
    pub fn token(&self) -> String {
        let is_token = |line: &&str| line.len() == 43 && !line.contains(' ');
        self.text.lines().find(is_token).expect("a token").to_owned()
    }
}

async fn serve(mut socket: TcpStream, tell: mpsc::Sender<Taken>) -> std::io::Result<()> {
    let (read, mut write) = socket.split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 localhost\r\n").await?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await? {
        let (word, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let answer = match word.to_ascii_uppercase().as_str() {
            "EHLO" => "250-localhost\r\n250 8BITMIME\r\n",
            "RCPT" => {
                to = rest.trim_start_matches("TO:<").split('>').next().unwrap_or_default().to_owned();
                "250 good\r\n"
            }
            "MAIL" | "RSET" | "NOOP" => "250 good\r\n",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    text += line.strip_prefix('.').unwrap_or(&line);
                    text.push('\n');
                }
                // Whoever asked has gone when its test has ended.
                drop(tell.send(Taken { to: to.clone(), text }).await);
                "250 taken\r\n"
            }
            "QUIT" => return write.write_all(b"221 bye\r\n").await,
            _ => "500 what?\r\n",
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
