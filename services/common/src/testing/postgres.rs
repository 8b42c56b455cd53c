//! A Postgres server for one test process, from whatever server binaries the
//! machine has.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use url::Url;

use super::skip;
use crate::config::{Env as _, ProcessEnv};

/// The server of this process: `TEST_POSTGRES_URL`, or one that is started here
/// and ends with the process. `None`, said loudly once, where there is none.
///
/// # Panics
/// When one is required and missing, or cannot be started.
pub fn postgres_url() -> Option<Url> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        if let Some(url) = ProcessEnv.get("TEST_POSTGRES_URL") {
            let url = Url::parse(&url).expect("TEST_POSTGRES_URL is postgres://…");
            return Some(Server { url, _keeper: None });
        }
        let Some(binaries) = server_binaries() else {
            skip("postgres", "this machine has no Postgres server (Debian: apt-get install postgresql)");
            return None;
        };
        Some(Server::start(&binaries))
    });
    server.as_ref().map(|server| server.url.clone())
}

struct Server {
    url: Url,
    /// Ends the server when this process ends and the pipe closes with it.
    _keeper: Option<(Child, ChildStdin)>,
}

/// Makes a cluster in a fresh folder, starts it on a free port without fsync,
/// prints the port, and waits for the pipe to close. Postgres refuses to run as
/// root, so that the script runs as another user then.
const KEEPER: &str = r#"
set -eu
bin=$1
dir=$(mktemp -d /tmp/coachbot-pg.XXXXXX)
trap 'kill -INT "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
pid=
"$bin/initdb" -D "$dir/data" -U coachbot --auth=trust --no-sync -E UTF8 --locale=C.UTF-8 >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
for attempt in 1 2 3 4 5 6 7 8; do
  port=$((20000 + ($(od -An -N2 -tu2 /dev/urandom) % 40000)))
  "$bin/postgres" -D "$dir/data" -p "$port" -k "$dir" -c listen_addresses=127.0.0.1 \
    -c fsync=off -c max_connections=200 >"$dir/log" 2>&1 &
  pid=$!
  for wait in $(seq 1 100); do
    if "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" && kill -0 "$pid" 2>/dev/null; then
      echo "$port"
      cat >/dev/null
      exit 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill "$pid" 2>/dev/null || true
done
cat "$dir/log" >&2
exit 1
"#;

impl Server {
    fn start(binaries: &Path) -> Self {
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "bash"]);
            command
        } else {
            Command::new("bash")
        };
        let mut keeper = command
            .args(["-c", KEEPER, "keeper"])
            .arg(binaries)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Postgres keeper starts");
        let pipe = keeper.stdin.take().expect("the keeper has a pipe");
        let mut port = String::new();
        let answers = keeper.stdout.take().expect("the keeper answers");
        BufReader::new(answers).read_line(&mut port).expect("the keeper answers");
        let port: u16 = port.trim().parse().expect("Postgres starts and the keeper says its port");
        let url = format!("postgres://coachbot@127.0.0.1:{port}/postgres");
        Self { url: Url::parse(&url).expect("a URL"), _keeper: Some((keeper, pipe)) }
    }
}

/// The newest server of Debian's layout, or the one on the PATH.
fn server_binaries() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let on_path =
        ProcessEnv.get("PATH")?.split(':').map(PathBuf::from).find(|folder| folder.join("initdb").is_file());
    versions.pop().map(|(_, folder)| folder).filter(|folder| folder.join("initdb").is_file()).or(on_path)
}
