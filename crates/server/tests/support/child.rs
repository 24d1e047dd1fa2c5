//! The real binary: as a server that can be killed, and as a command that ends.

use std::ffi::OsStr;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use heapline_server::admin::AdminFile;

use super::client::Client;
use super::until;

pub(crate) const HEAPLINE: &str = env!("CARGO_BIN_EXE_heapline");

/// A running `heapline serve`. It is killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// On `data`, with the workspace file in it, listening on `address` (port 0: any).
    pub(crate) async fn start(data: &Path, address: &str, options: &[&OsStr]) -> ServerProcess {
        // Left over from an earlier server: it names that one's address.
        let earlier = AdminFile::read(data).unwrap().map(|file| file.address);
        let admin = data.join(heapline_server::admin::ADMIN_FILE);
        let written = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        let before = written(&admin);
        let log = std::fs::File::create(data.join("server.log")).unwrap();
        let mut child = Command::new(HEAPLINE)
            .arg("serve")
            .arg("--data")
            .arg(data)
            .arg("--workspace")
            .arg(data.join("workspace.toml"))
            .args(["--listen", address])
            .args(options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = until("the server's admin.json", async || {
            if let Some(status) = child.try_wait().unwrap() {
                let log = std::fs::read_to_string(data.join("server.log")).unwrap();
                panic!("the server ended with {status}: {log}");
            }
            // Asked first: a file that is written anew while it is read tells the old address.
            let anew = written(&admin) != before;
            let file = AdminFile::read(data).unwrap()?;
            (anew || Some(&file.address) != earlier.as_ref()).then_some(file.address)
        })
        .await;
        let address = address.strip_prefix("http://").unwrap().parse().unwrap();
        let server = ServerProcess { child, address };
        until("a ready server", async || {
            let stream = tokio::net::TcpStream::connect(server.address).await;
            stream.is_ok().then_some(())
        })
        .await;
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self, data: &Path) -> Client {
        Client::new(self.address, data)
    }

    /// kill -9
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; gives the exit code and how long the end took.
    pub(crate) async fn terminate(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = until("the server's end", async || self.child.try_wait().unwrap()).await;
        (status.code(), began.elapsed())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Fails if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a command printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `heapline` to its end, off the threads that serve.
pub(crate) async fn heapline(args: &[&str]) -> Ran {
    heapline_with(args, "").await
}

/// The same with `input` on standard input.
pub(crate) async fn heapline_with(args: &[&str], input: &str) -> Ran {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || run(&args, &input)).await.unwrap()
}

fn run(args: &[String], input: &str) -> Ran {
    let mut child = Command::new(HEAPLINE)
        .args(args)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output: Output = std::thread::scope(|scope| {
        // A command that doesn't read its input closes it.
        scope.spawn(move || stdin.write_all(input.as_bytes()).ok());
        child.wait_with_output().unwrap()
    });
    Ran {
        code: output.status.code().expect("a command ends by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
