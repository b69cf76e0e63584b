//! The real binary backs up what it holds while it serves, and what was backed up serves again.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Client;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

const SECRET: &str = "sk-of-this-test-0123456789";

/// An installation in a folder, made by `atelier init`.
struct Installed {
    folder: tempfile::TempDir,
    key: String,
}

/// It serves.
struct Serving {
    child: Child,
    base: String,
    admin: String,
    client: Client,
    key: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn atelier(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.env("ATELIER_CONFIG", config).env_remove("ATELIER_KEY");
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Installed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("host");
        let init =
            Command::new(env!("CARGO_BIN_EXE_atelier")).arg("init").arg(&dir).output().expect("it runs");
        let printed = String::from_utf8_lossy(&init.stdout).into_owned();
        let key = printed.lines().find_map(|line| line.strip_prefix("key: ")).expect("a key").to_owned();
        let config = dir.join("atelier.toml");
        let text = fs::read_to_string(&config).expect("the configuration");
        let text = text.replace("127.0.0.1:8484", "127.0.0.1:0").replace("127.0.0.1:8485", "127.0.0.1:0");
        let more = format!(
            "[[instance]]\nname = \"later\"\nplugin = \"atelier/openai\"\nsecrets = {{ api-key = {{ value = \"{SECRET}\" }} }}\n"
        );
        fs::write(&config, format!("{text}\n{more}")).expect("written");
        Self { folder, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("host/atelier.toml")
    }

    fn serve(&self) -> Serving {
        serve(&self.config(), &self.key)
    }

    /// Runs a verb beside the running server.
    fn beside(&self, server: &Serving, arguments: &[&str]) -> Command {
        let mut command = atelier(&self.config());
        command
            .env("ATELIER_KEY", &self.key)
            .env("ATELIER_SERVER__LISTEN", server.base.trim_start_matches("http://"))
            .env("ATELIER_ADMIN__LISTEN", server.admin.trim_start_matches("http://"))
            .args(arguments);
        command
    }
}

fn serve(config: &Path, key: &str) -> Serving {
    let mut child =
        atelier(config).arg("serve").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut first = Vec::new();
    let told = errors.by_ref().map(|line| line.expect("text")).inspect(|line| first.push(line.clone()));
    let line = { told }.find(|line| line.contains("atelier listens on"));
    let line = line.unwrap_or_else(|| panic!("it does not listen: {first:?}"));
    let mut addresses = line.split(['(', ')', ' ']).filter(|word| word.starts_with("http://"));
    let mut address = || addresses.next().expect("two addresses").to_owned();
    let (base, admin) = (address(), address());
    // What it says later is read, so that it never waits for a reader.
    std::thread::spawn(move || errors.map_while(Result::ok).for_each(drop));
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
    Serving { child, base, admin, client, key: key.to_owned() }
}

impl Serving {
    async fn get(&self, path: &str, key: &str) -> reqwest::Response {
        let request = self.client.get(format!("{}{path}", self.base));
        let request = if key.is_empty() { request } else { request.bearer_auth(key) };
        request.send().await.expect("answered")
    }

    async fn upload(&self, content: Vec<u8>) -> Value {
        let file = Part::bytes(content).file_name("a.jsonl").mime_str("application/jsonl").expect("a type");
        let form = Form::new().text("purpose", "user_data").part("file", file);
        let request =
            self.client.post(format!("{}/v1/files", self.base)).bearer_auth(&self.key).multipart(form);
        let answer = request.send().await.expect("answered");
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
        answer.json().await.expect("JSON")
    }

    async fn create_user(&self, name: &str) -> reqwest::StatusCode {
        let body = json!({"name": name, "role": "user"});
        let request =
            self.client.post(format!("{}/api/v1/users", self.base)).bearer_auth(&self.key).json(&body);
        request.send().await.expect("answered").status()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_backed_up_while_it_serves_and_serves_again_from_the_backup() {
    let installed = Installed::new();
    let server = installed.serve();
    let small = server.upload(b"{\"a\": 1}\n".to_vec()).await;
    let large = server.upload(vec![b'x'; 3_000_000]).await;
    assert_eq!(server.create_user("before").await, 201);
    let file = installed.path("backup.tar");
    let (made, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let writing = async {
        while !stop.load(Ordering::Relaxed) {
            let number = made.fetch_add(1, Ordering::Relaxed);
            let status = server.create_user(&format!("during-{number}")).await;
            assert!(status == 201 || status == 429, "{status}");
        }
    };
    let mut command = installed.beside(&server, &["backup", file.to_str().expect("text")]);
    let backing_up = async {
        let output =
            tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
        stop.store(true, Ordering::Relaxed);
        output
    };
    let (output, ()) = tokio::join!(backing_up, writing);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("whole"), "{}", text(&output));
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(!installed.path("backup.tar.partial").exists());
    let again =
        installed.beside(&server, &["backup", file.to_str().expect("text")]).output().expect("it runs");
    assert!(!again.status.success() && text(&again).contains("exists already"), "{}", text(&again));

    let doctor = installed.beside(&server, &["doctor"]).output().expect("it runs");
    let told = text(&doctor);
    assert!(told.contains("rows of the store") && told.contains("last backup was made"), "{told}");

    let bytes = fs::read(&file).expect("read");
    let holds = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(!holds(SECRET) && holds("LATER_API_KEY"), "secrets stay out, and where to put them is said");

    let into = installed.path("restored");
    let restore = |file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.arg("restore").arg(file).arg("--into").arg(&into).output().expect("it runs")
    };
    let output = restore(&file);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&restore(&file)).contains("not empty"));
    let config = into.join("atelier.toml");
    let audit = atelier(&config).args(["credit", "audit"]).output().expect("it runs");
    assert!(audit.status.success(), "{}", text(&audit));
    let restored = serve(&config, &installed.key);
    for (uploaded, size) in [(&small, 9), (&large, 3_000_000)] {
        let id = uploaded["id"].as_str().expect("an id");
        let answer = restored.get(&format!("/v1/files/{id}/content"), &installed.key).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.bytes().await.expect("content").len(), size);
    }
    let users: Value = restored.get("/api/v1/users", &installed.key).await.json().await.expect("JSON");
    let names: Vec<_> = users["data"].as_array().expect("users").iter().map(|user| &user["name"]).collect();
    assert!(names.contains(&&json!("before")), "{names:?}");
    assert_eq!(server.get("/api/v1/users", &installed.key).await.status(), 200, "and the first serves on");
}

#[tokio::test]
async fn nobody_but_an_administrator_is_given_a_backup() {
    let installed = Installed::new();
    let server = installed.serve();
    assert_eq!(server.get("/api/v1/admin/backup", "").await.status(), 401);
    let body = json!({"user": "admin", "name": "reader", "scopes": ["read", "generate"]});
    let request =
        server.client.post(format!("{}/api/v1/keys", server.base)).bearer_auth(&installed.key).json(&body);
    let key: Value = request.send().await.expect("answered").json().await.expect("JSON");
    let key = key["secret"].as_str().expect("a key");
    assert_eq!(server.get("/api/v1/admin/backup", key).await.status(), 403);
    assert_eq!(server.get("/api/v1/admin/backup?secrets=all", &installed.key).await.status(), 400);
    let mut asked = Command::new(env!("CARGO_BIN_EXE_atelier"));
    let config = installed.config();
    asked.env("ATELIER_CONFIG", config).env_remove("ATELIER_KEY");
    asked.env("ATELIER_SERVER__LISTEN", server.base.trim_start_matches("http://"));
    let output = asked.arg("backup").arg(installed.path("none.tar")).output().expect("it runs");
    assert!(!output.status.success() && text(&output).contains("ATELIER_KEY"), "{}", text(&output));
    assert!(!installed.path("none.tar").exists() && !installed.path("none.tar.partial").exists());
}

#[tokio::test]
async fn a_killed_backup_or_restore_leaves_nothing_that_looks_like_one() {
    let installed = Installed::new();
    let server = installed.serve();
    server.upload(vec![b'x'; 60_000_000]).await;
    let file = installed.path("backup.tar");
    let mut killed = 0;
    for _ in 0..5 {
        let mut child =
            installed.beside(&server, &["backup", file.to_str().expect("text")]).spawn().expect("it starts");
        while !installed.path("backup.tar.partial").exists() && child.try_wait().expect("asked").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        if !child.wait().expect("waited").success() {
            killed += 1;
            assert!(!file.exists());
        }
    }
    assert!(killed > 0, "one was killed in its middle");
    // One that nobody takes any more ends by itself, and then another can be made.
    loop {
        let output =
            installed.beside(&server, &["backup", file.to_str().expect("text")]).output().expect("it runs");
        if output.status.success() {
            break;
        }
        assert!(text(&output).contains("under way"), "{}", text(&output));
    }
    let check = Command::new(env!("CARGO_BIN_EXE_atelier")).arg("restore").arg(&file).arg("--check").output();
    assert!(check.expect("it runs").status.success());
    // A restore that is killed leaves nothing under its folder's name, and the next begins anew.
    let (into, aside) = (installed.path("restored"), installed.path(".restored.restoring"));
    let restore = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.arg("restore").arg(&file).arg("--into").arg(&into);
        command
    };
    let mut child = restore().spawn().expect("it starts");
    while !aside.exists() && child.try_wait().expect("asked").is_none() {
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    assert!(!child.wait().expect("waited").success() && !into.exists());
    assert!(restore().status().expect("it runs").success());
    assert!(into.join("atelier.toml").exists() && !aside.exists());
}

#[test]
fn a_stopped_server_is_backed_up_directly_and_a_damaged_backup_is_refused_by_name() {
    let installed = Installed::new();
    let file = installed.path("backup.tar");
    let output = atelier(&installed.config())
        .arg("backup")
        .arg(&file)
        .arg("--with-secrets")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    let bytes = fs::read(&file).expect("read");
    assert!(bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "they were wanted");
    fs::write(&file, &bytes[..bytes.len() / 2]).expect("cut");
    let into = installed.path("restored");
    let restore = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.arg("restore").arg(&file).arg("--into").arg(&into).output().expect("it runs")
    };
    let output = restore();
    assert!(!output.status.success() && text(&output).contains("damaged"), "{}", text(&output));
    assert!(!into.exists());
    fs::write(&file, &bytes).expect("whole again");
    assert!(restore().status.success());
    let migrate = atelier(&into.join("atelier.toml")).arg("migrate").output().expect("it runs");
    assert!(migrate.status.success() && text(&migrate).contains("nothing to do"), "{}", text(&migrate));
}

#[test]
fn what_is_gone_or_altered_is_named_by_doctor() {
    let installed = Installed::new();
    let store = installed.path("host/data/store");
    let doctor = || atelier(&installed.config()).arg("doctor").output().expect("it runs");
    let told = text(&doctor());
    assert!(told.contains("rows of the store") && told.contains("no backup was made yet"), "{told}");
    let database = store.join("db/db");
    let length = fs::metadata(&database).expect("there").len();
    fs::OpenOptions::new().write(true).open(&database).expect("opened").set_len(length / 2).expect("cut");
    let output = doctor();
    let told = text(&output);
    assert!(
        !output.status.success() && told.contains("PROBLEM") && told.contains("restore the newest backup"),
        "{told}"
    );
    let served = atelier(&installed.config()).arg("serve").output().expect("it runs");
    assert!(!served.status.success() && text(&served).contains("damaged"), "{}", text(&served));
}

#[tokio::test]
async fn a_blob_that_is_gone_is_a_typed_error_and_named_by_doctor() {
    let installed = Installed::new();
    let (id, blob) = {
        let server = installed.serve();
        let content = b"{\"a\": 1}\n".to_vec();
        let id = server.upload(content.clone()).await["id"].as_str().expect("an id").to_owned();
        let blob = blake3::hash(&content).to_hex().to_string();
        let path = installed.path("host/data/blobs").join(&blob[..2]).join(&blob[2..]);
        fs::write(&path, b"altered").expect("altered behind its back");
        let answer = server.get(&format!("/v1/files/{id}/content"), &installed.key).await;
        assert_eq!(answer.status(), 500);
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["error"]["code"], "content_missing", "{body}");
        assert!(body["error"]["message"].as_str().expect("text").contains(&blob), "{body}");
        fs::remove_file(&path).expect("removed");
        (id, blob)
    };
    let output = atelier(&installed.config()).arg("doctor").output().expect("it runs");
    let told = text(&output);
    assert!(!output.status.success() && told.contains(&blob), "{told}");
    let file = installed.path("backup.tar");
    let output = atelier(&installed.config()).arg("backup").arg(&file).output().expect("it runs");
    assert!(
        output.status.success()
            && text(&output).contains(&format!("gone or damaged already: the blob {blob}")),
        "{}",
        text(&output)
    );
    let server = installed.serve();
    assert_eq!(server.get(&format!("/v1/files/{id}/content"), &installed.key).await.status(), 500);
    assert_eq!(
        server.get(&format!("/v1/files/{id}"), &installed.key).await.status(),
        200,
        "the rest is served"
    );
}

/// A secret that the store must be able to read again.
async fn made_endpoint(server: &Serving) -> String {
    let body = json!({"url": "https://example.com/told"});
    let request = server.client.post(format!("{}/api/v1/webhook-endpoints", server.base));
    let answer = request.bearer_auth(&server.key).json(&body).send().await.expect("answered");
    let answer: Value = answer.json().await.expect("JSON");
    answer["secret"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn endpoints(server: &Serving) -> usize {
    let answer = server.get("/api/v1/webhook-endpoints", &server.key).await;
    assert_eq!(answer.status(), 200);
    let listed: Value = answer.json().await.expect("JSON");
    listed["data"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_sealed_and_without_their_key_the_server_says_what_to_do() {
    let installed = Installed::new();
    let key = installed.path("host/data/sealing.key");
    let run = |arguments: &[&str]| atelier(&installed.config()).args(arguments).output().expect("it runs");
    let server = installed.serve();
    let secret = made_endpoint(&server).await;
    drop(server);
    let database = fs::read(installed.path("host/data/store/db/db")).expect("the database's file");
    let plain = secret.strip_prefix("whsec_").expect("its form").as_bytes();
    assert!(!database.windows(plain.len()).any(|window| window == plain), "it lies there plain");
    assert_eq!(fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    let told = text(&run(&["doctor"]));
    assert!(told.contains("sealing.key") && told.contains("beside them"), "{told}");

    let file = installed.path("backup.tar");
    let made = run(&["backup", file.to_str().expect("text")]);
    assert!(made.status.success(), "{}", text(&made));
    let (held, bits) = (fs::read(&file).expect("read"), fs::read(&key).expect("32 bytes"));
    assert!(!held.windows(32).any(|window| window == bits), "no backup without secrets holds the key");

    fs::rename(&key, installed.path("aside")).expect("moved");
    let refused = run(&["serve"]);
    let told = text(&refused);
    assert!(
        !refused.status.success() && told.contains("secrets forget") && told.contains("[secrets]"),
        "{told}"
    );
    assert!(!key.exists(), "no other is made in its place");
    assert!(text(&run(&["doctor"])).contains("PROBLEM  secrets are sealed"));
    assert!(!run(&["secrets", "forget"]).status.success(), "not without a word");
    fs::rename(installed.path("aside"), &key).expect("back");
    assert_eq!(endpoints(&installed.serve()).await, 1);
    fs::remove_file(&key).expect("lost");
    let forgotten = run(&["secrets", "forget", "--yes"]);
    assert!(forgotten.status.success(), "{}", text(&forgotten));
    let server = installed.serve();
    assert_eq!(endpoints(&server).await, 0);
    made_endpoint(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_seals_everything_anew_and_the_old_one_is_not_needed_then() {
    let installed = Installed::new();
    let config = fs::read_to_string(installed.config()).expect("read");
    let new_key = || {
        let made = atelier(&installed.config()).args(["secrets", "key"]).output().expect("it runs");
        text(&made).trim().to_owned()
    };
    let with = |keys: &str| {
        fs::write(installed.config(), format!("{config}\n[secrets]\n{keys}\n")).expect("written")
    };
    let server = installed.serve();
    made_endpoint(&server).await;
    drop(server);
    let [first, second] = [new_key(), new_key()];
    with(&format!("key = {{ value = \"{first}\" }}"));
    assert_eq!(endpoints(&installed.serve()).await, 1, "the one in the data folder opened them");
    fs::remove_file(installed.path("host/data/sealing.key")).expect("not needed any more");
    with(&format!("key = {{ value = \"{second}\" }}\nretired_key = {{ value = \"{first}\" }}"));
    assert_eq!(endpoints(&installed.serve()).await, 1);
    with(&format!("key = {{ value = \"{second}\" }}"));
    assert_eq!(endpoints(&installed.serve()).await, 1);
    with(&format!("key = {{ value = \"{first}\" }}"));
    let refused = atelier(&installed.config()).arg("serve").output().expect("it runs");
    assert!(!refused.status.success() && text(&refused).contains("sealed with key"), "{}", text(&refused));
    with("key = { value = \"too short\" }");
    let refused = atelier(&installed.config()).arg("serve").output().expect("it runs");
    assert_eq!(refused.status.code(), Some(64), "{}", text(&refused));
}
