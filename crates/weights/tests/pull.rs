//! Pulling from a server that speaks the hub's protocol, and breaks off in the middle.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use hf_hub::api::Progress;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use weights::folder::WeightsFolder;
use weights::hub::Hub;
use weights::known::Known;

/// How the server behaves; a test changes it between two pulls.
#[derive(Debug, Clone)]
struct Manner {
    file: Vec<u8>,
    etag: String,
    commit: String,
    /// The connection is cut before this byte of the file.
    cut_at: Option<usize>,
}

/// The server, and folders to pull into.
struct Bench {
    folder: TempDir,
    address: String,
    manner: Arc<Mutex<Manner>>,
    /// `path range` of each request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new() -> Self {
        let header = r#"{"a":{"dtype":"F32","shape":[50000],"data_offsets":[0,200000]}}  "#;
        let length = (header.len() as u64).to_le_bytes();
        let file = [&length, header.as_bytes(), &[0; 200_000]].concat();
        let etag = sha256(&file);
        let manner = Manner { file, etag, commit: "0123abcd".repeat(5), cut_at: None };
        let manner = Arc::new(Mutex::new(manner));
        let requests = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let bench = Self { folder: tempfile::tempdir().unwrap(), address, manner, requests };
        let (manner, requests) = (Arc::clone(&bench.manner), Arc::clone(&bench.requests));
        let address = bench.address.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &address, &manner.lock().unwrap(), &requests);
            }
        });
        bench
    }

    fn change(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.manner.lock().unwrap());
    }

    fn hub(&self) -> Hub {
        let cache = self.folder.path().join("hub");
        Hub { endpoint: self.address.clone(), cache, offline: false }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("weights/resnet18.safetensors")
    }

    fn pull(&self) -> Result<u64, String> {
        self.pull_from(&self.hub())
    }

    /// How many numbers came, or what was said.
    fn pull_from(&self, hub: &Hub) -> Result<u64, String> {
        let folder = WeightsFolder::new(&self.folder.path().join("weights"));
        let known = Known::find("resnet18").unwrap();
        let pulled = hub.pull(known, &folder, Count::default());
        let said = pulled.map(|contents| contents.numbers).map_err(|error| {
            let text = error.to_string().replace(&self.address, "[HUB]");
            text.replace(self.folder.path().to_str().unwrap(), "[DIR]")
        });
        let left = fs_err::read_dir(self.folder.path().join("weights"));
        let left = left.map_or(0, |entries| entries.count());
        assert!(left <= 1, "something is left beside the weights");
        said
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// Counts what came; more than the file is a bug.
#[derive(Default)]
struct Count {
    done: usize,
    total: usize,
}

impl Progress for Count {
    fn init(&mut self, size: usize, _: &str) {
        (self.done, self.total) = (0, size);
    }

    fn update(&mut self, size: usize) {
        self.done += size;
        assert!(self.done <= self.total);
    }

    fn finish(&mut self) {
        assert_eq!(self.done, self.total);
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers one request: the hub's own address states the hash and leads to where the bytes are.
fn answer(mut to: TcpStream, address: &str, manner: &Manner, requests: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(to.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("range").then(|| value.to_owned())
    });
    let range = range.unwrap_or_default();
    requests.lock().unwrap().push(format!("{path} {range}"));
    let Manner { file, etag, commit, cut_at } = manner;
    let size = file.len();
    if path == "/timm/resnet18.tv_in1k/resolve/main/model.safetensors" {
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: {address}/cdn/blob\r\nX-Repo-Commit: {commit}\r\n\
             X-Linked-Etag: \"{etag}\"\r\nX-Linked-Size: {size}\r\nETag: \"git\"\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        to.write_all(head.as_bytes()).unwrap();
    } else if path == "/cdn/blob" {
        let (from, until) = range.trim_start_matches("bytes=").split_once('-').unwrap();
        let from: usize = from.parse().unwrap();
        let end = until.parse().map_or(size, |last: usize| last + 1);
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{size}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            end - 1,
            end - from
        );
        to.write_all(head.as_bytes()).unwrap();
        // Whoever has heard enough hangs up.
        let _ = to.write_all(&file[from..end.min(cut_at.unwrap_or(size)).max(from)]);
    } else {
        to.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
    }
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_stopped() {
    let bench = Bench::new();
    bench.change(|manner| manner.cut_at = Some(120_000));
    let said = bench.pull().unwrap_err();
    assert!(
        said.starts_with(
            "the download of timm/resnet18.tv_in1k broke off at 120000 of 200073 bytes"
        ) && said.ends_with("the same command goes on from there"),
        "{said}"
    );
    assert!(!bench.target().exists());
    bench.requests();

    bench.change(|manner| manner.cut_at = None);
    assert_eq!(bench.pull(), Ok(50_000));
    let asked = bench.requests();
    assert!(asked.contains(&"/cdn/blob bytes=120000-".to_owned()), "{asked:?}");
    assert!(!asked.contains(&"/cdn/blob bytes=0-".to_owned()), "{asked:?}");
    assert_eq!(fs_err::read(bench.target()).unwrap(), bench.manner.lock().unwrap().file);

    // What is in the cache is not downloaded again, and needs no hub.
    assert_eq!(bench.pull(), Ok(50_000));
    assert!(bench.requests().iter().all(|request| request.ends_with("bytes=0-0")));
    let offline = Hub { offline: true, ..bench.hub() };
    assert_eq!(bench.pull_from(&offline), Ok(50_000));
    assert_eq!(bench.requests(), [""; 0]);
}

#[test]
fn what_has_another_hash_is_refused_and_removed() {
    let bench = Bench::new();
    let etag = bench.manner.lock().unwrap().etag.clone();
    bench.change(|manner| manner.file[150_000] = 1);
    let said = bench.pull().unwrap_err();
    assert!(said.contains("is not what the hub states: 200073 bytes with SHA-256"), "{said}");
    assert!(said.ends_with(&etag), "{said}");
    assert!(!bench.target().exists());

    bench.change(|manner| manner.file[150_000] = 0);
    assert_eq!(bench.pull(), Ok(50_000), "the next one is not in the way of the last");
    // What goes bad in the cache is found there.
    let blob = bench.hub().cache.join("models--timm--resnet18.tv_in1k/blobs").join(etag);
    fs_err::write(&blob, "rotten").unwrap();
    let offline = Hub { offline: true, ..bench.hub() };
    let said = bench.pull_from(&offline).unwrap_err();
    assert!(said.contains("is not what the hub states: 6 bytes"), "{said}");
}

#[test]
fn what_is_no_weights_file_does_not_get_their_name() {
    let bench = Bench::new();
    bench.change(|manner| {
        manner.file = b"<html>welcome to this hotel's network</html>".to_vec();
        manner.etag = sha256(&manner.file);
    });
    let said = bench.pull().unwrap_err();
    assert!(said.contains("is no intact safetensors file"), "{said}");
    assert!(!bench.target().exists());
}

#[test]
fn a_hub_that_states_no_hash_is_not_trusted() {
    let states: [fn(&mut Manner); 2] = [
        |manner| manner.etag = "../../../escaped".to_owned(),
        |manner| manner.commit = "../..".to_owned(),
    ];
    for state in states {
        let bench = Bench::new();
        bench.change(state);
        let said = bench.pull().unwrap_err();
        assert!(said.contains("as hash of timm/resnet18.tv_in1k, which is no SHA-256"), "{said}");
        assert_eq!(fs_err::read_dir(bench.folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn without_a_hub_it_says_so() {
    let bench = Bench::new();
    let offline = Hub { offline: true, ..bench.hub() };
    insta::assert_snapshot!(bench.pull_from(&offline).unwrap_err(), @"timm/resnet18.tv_in1k is not in [DIR]/hub, and HF_HUB_OFFLINE forbids to ask the hub");
    assert_eq!(bench.requests(), [""; 0]);
    // A port that nobody listens at.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Hub { endpoint: format!("http://{port}"), ..bench.hub() };
    let said = bench.pull_from(&nobody).unwrap_err();
    assert!(said.contains("does not give timm/resnet18.tv_in1k"), "{said}");
}
