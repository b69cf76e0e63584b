use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::host::TestHost;
use crate::wire::{PATIENCE, connect_from};

const ADDRESSES: u8 = 10;
const PER_ADDRESS: usize = 100;

/// Open connections, as the server counts them.
async fn open(host: &TestHost) -> usize {
    let url = format!("http://{}/metrics", host.running().admin_address);
    let text = host.client.get(url).send().await.expect("answered").text().await.expect("text");
    let line =
        text.lines().find_map(|line| line.strip_prefix("atelier_connections ")).expect("it is counted");
    line.parse().expect("a number")
}

/// Sends a head byte by byte and never ends it, until the connection is closed.
async fn drips(from: Ipv4Addr, to: std::net::SocketAddr) {
    let mut connection = connect_from(from, to).await;
    let head = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: ";
    if connection.write_all(head).await.is_err() {
        return;
    }
    let mut byte = [0; 1024];
    loop {
        tokio::select! {
            read = connection.read(&mut byte) => match read {
                // A refusal may come before the end.
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            },
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                if connection.write_all(b"a").await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_never_end_their_heads_are_let_go_and_keep_nobody_out() {
    let host = TestHost::edited(|text| {
        text.replace("# head_seconds = 15 ", "head_seconds = 4 ")
            .replace("# connections = 10000 ", "connections = 1100 ")
            .replace("# connections_per_address = 1000 ", "connections_per_address = 100 ")
    })
    .await;
    let address = host.running().address;
    let mut slow = JoinSet::new();
    for last in 0..ADDRESSES {
        for _ in 0..PER_ADDRESS {
            slow.spawn(drips(Ipv4Addr::new(127, 0, 1, last + 1), address));
        }
    }
    // Meanwhile everybody else is served.
    let mut most = 0;
    let let_go = async { while slow.join_next().await.is_some() {} };
    let mut let_go = std::pin::pin!(tokio::time::timeout(PATIENCE, let_go));
    loop {
        tokio::select! {
            all = &mut let_go => {
                all.expect("each was closed, though each sent something all the time");
                break;
            }
            count = open(&host) => {
                most = most.max(count);
                let answer = host.get("/favicon.ico").send().await.expect("answered");
                assert_eq!(answer.status(), 204);
            }
        }
    }
    let bound = usize::from(ADDRESSES) * PER_ADDRESS;
    assert!(most > bound / 2, "they were all there at once: {most}");
    assert!(most <= bound + 10, "no address has more than its share: {most}");
    host.stop().await;
}

#[tokio::test]
async fn more_clients_than_there_are_places_wait_and_are_served_once_one_is_free() {
    let host = TestHost::edited(|text| {
        text.replace("# head_seconds = 15 ", "head_seconds = 1 ")
            .replace("# connections = 10000 ", "connections = 20 ")
    })
    .await;
    let address = host.running().address;
    let mut slow = JoinSet::new();
    for _ in 0..60 {
        slow.spawn(drips(Ipv4Addr::new(127, 0, 1, 1), address));
    }
    let answer = tokio::time::timeout(PATIENCE, host.get("/favicon.ico").send()).await;
    assert_eq!(answer.expect("its turn comes").expect("answered").status(), 204);
    assert!(open(&host).await <= 20);
    slow.abort_all();
    host.stop().await;
}
