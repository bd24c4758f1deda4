//! Weights from the Hugging Face hub.
//!
//! The crate `hf-hub` asks the hub, keeps what comes in the cache that all programs of Hugging Face
//! share, and goes on where a broken download stopped. It does not look at what came; that is done
//! here: nothing gets the name of weights before its size and its hash are those that the hub states.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo};

pub use hf_hub::api::Progress;

use crate::aside::Aside;
use crate::folder::WeightsFolder;
use crate::inspect::{self, Contents, InspectError};
use crate::known::{HUB_FILE, Known, Source};

/// Where the hub is, and what is kept of it here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// Its address, such as `https://huggingface.co`.
    pub endpoint: String,
    /// The cache of downloads, `<HF_HOME>/hub`.
    pub cache: PathBuf,
    /// Whether it may be asked; the cache always may.
    pub offline: bool,
}

/// Why weights were not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// They are not on the hub.
    #[error("the weights of {name} are not on the hub: `{command}` gets them")]
    Elsewhere {
        /// Whose weights.
        name: &'static str,
        /// What gets them.
        command: String,
    },
    /// The hub may not be asked, and they are not in the cache.
    #[error(
        "{repository} is not in {}, and HF_HUB_OFFLINE forbids to ask the hub", cache.display()
    )]
    Offline {
        /// What was wanted.
        repository: &'static str,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The hub did not answer, or not as hubs do.
    #[error(
        "{endpoint} does not give {repository}: {cause}; HF_ENDPOINT names another hub, and with \
         HF_HUB_OFFLINE=1 only Hugging Face's cache is asked"
    )]
    Ask {
        /// The hub.
        endpoint: String,
        /// What was asked for.
        repository: &'static str,
        /// What came instead.
        cause: ApiError,
    },
    /// The hub states no hash, so what it sends cannot be trusted.
    #[error("{endpoint} states {etag} as hash of {repository}, which is no SHA-256")]
    NoHash {
        /// The hub.
        endpoint: String,
        /// What was asked for.
        repository: &'static str,
        /// What it states.
        etag: String,
    },
    /// The download broke off.
    #[error(
        "the download of {repository} broke off at {done} of {total} bytes ({cause}); the same \
         command goes on from there"
    )]
    BrokeOff {
        /// What was downloaded.
        repository: &'static str,
        /// Bytes that are here.
        done: u64,
        /// Bytes of the file.
        total: u64,
        /// Why.
        cause: ApiError,
    },
    /// What came is not what the hub states.
    #[error("what came as {repository} is not what the hub states: {found}, expected {expected}")]
    Wrong {
        /// What was downloaded.
        repository: &'static str,
        /// Size and hash that came.
        found: String,
        /// Size and hash that the hub states.
        expected: String,
    },
    /// It is no weights file.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// Disk trouble.
    #[error("the weights cannot be kept: {0}")]
    Keep(#[from] io::Error),
}

impl Hub {
    /// As the environment says: `HF_ENDPOINT`, `HF_HOME` (else `huggingface` in `XDG_CACHE_HOME`, else in
    /// `~/.cache`) and `HF_HUB_OFFLINE`, which mean what they mean to Hugging Face's own programs.
    pub fn from_environment() -> Self {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let home = set("HF_HOME").map_or_else(
            || {
                let caches = || env::home_dir().unwrap_or_default().join(".cache");
                set("XDG_CACHE_HOME").map_or_else(caches, PathBuf::from).join("huggingface")
            },
            PathBuf::from,
        );
        let home = std::path::absolute(&home).unwrap_or(home);
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: home.join("hub"),
            offline: set("HF_HUB_OFFLINE").is_some_and(|value| {
                ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
            }),
        }
    }

    /// Puts known weights into `folder`: from the cache if they are there, else from the hub.
    ///
    /// # Errors
    /// When they cannot be had, or what came is not what the hub states; under the final name is
    /// nothing then, or what was there before.
    pub fn pull(
        &self,
        known: &Known,
        folder: &WeightsFolder,
        progress: impl Progress,
    ) -> Result<Contents, PullError> {
        let Source::Hub { repository } = known.source else {
            let command = known.command(folder);
            return Err(PullError::Elsewhere { name: known.name, command });
        };
        let cache = Cache::new(self.cache.clone());
        let repo = Repo::model(repository.to_owned());
        let cached = cache.repo(repo.clone());
        let blob = if self.offline {
            let offline = || PullError::Offline { repository, cache: self.cache.clone() };
            // The cache keeps links to files that are named by their hash.
            let blob = fs_err::canonicalize(cached.get(HUB_FILE).ok_or_else(offline)?)?;
            let hash = blob.file_name().and_then(|name| name.to_str()).filter(|name| is_hash(name));
            let stated = hash.map(|hash| Stated { hash: hash.to_owned(), bytes: None });
            stated.map_or(Ok(()), |stated| stated.check(repository, &blob))?;
            blob
        } else {
            let ask = |cause| self.ask(repository, cause);
            let api = ApiBuilder::from_cache(cache)
                .with_endpoint(self.endpoint.clone())
                .with_user_agent("sweep", env!("CARGO_PKG_VERSION"))
                .build()
                .map_err(ask)?;
            self.download(repository, &api.repo(repo), &cached, progress, &api)?
        };
        place(&blob, &folder.file(known.name))
    }

    fn ask(&self, repository: &'static str, cause: ApiError) -> PullError {
        PullError::Ask { endpoint: self.endpoint.clone(), repository, cause }
    }

    /// The file in the cache, whole and as the hub states it.
    fn download(
        &self,
        repository: &'static str,
        repo: &ApiRepo,
        cached: &CacheRepo,
        progress: impl Progress,
        api: &hf_hub::api::sync::Api,
    ) -> Result<PathBuf, PullError> {
        let metadata =
            api.metadata(&repo.url(HUB_FILE)).map_err(|cause| self.ask(repository, cause))?;
        // For large files the hub's tag is the SHA-256 of the content. Tag and commit name files in the
        // cache, too: what is no hash might lead out of it.
        let (etag, commit) = (metadata.etag(), metadata.commit_hash());
        if !is_hash(etag) || !commit.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let etag = format!("{etag} (commit {commit})");
            return Err(PullError::NoHash { endpoint: self.endpoint.clone(), repository, etag });
        }
        let total = metadata.size() as u64;
        let blob = cached.blob_path(etag);
        let part = blob.with_extension("part");
        if !blob.is_file() {
            let size = |path: &Path| fs_err::metadata(path).map_or(0, |found| found.len());
            // Whole but without its name, after a crash: there is no rest that could be asked for.
            if size(&part) >= total {
                remove(&part)?;
            }
            repo.download_with_progress(HUB_FILE, progress).map_err(|cause| {
                let done = size(&part);
                PullError::BrokeOff { repository, done, total, cause }
            })?;
        }
        let stated = Stated { hash: etag.to_owned(), bytes: Some(total) };
        let checked = stated.check(repository, &blob);
        if let Err(PullError::Wrong { .. }) = checked {
            // The link to it, too, which would be in the way of the next one.
            remove(&blob)?;
            remove(&cached.pointer_path(commit).join(HUB_FILE))?;
        }
        checked.map(|()| blob)
    }
}

/// What the hub states of a file.
struct Stated {
    hash: String,
    bytes: Option<u64>,
}

impl Stated {
    fn check(&self, repository: &'static str, file: &Path) -> Result<(), PullError> {
        let content = inspect::read(file)?;
        let (bytes, sha256) = (content.len() as u64, inspect::sha256(&content));
        let expected = self.bytes.unwrap_or(bytes);
        if bytes == expected && sha256.eq_ignore_ascii_case(&self.hash) {
            return Ok(());
        }
        let say = |bytes, hash: &str| format!("{bytes} bytes with SHA-256 {hash}");
        let (found, expected) = (say(bytes, &sha256), say(expected, &self.hash));
        Err(PullError::Wrong { repository, found, expected })
    }
}

/// Whether this is a SHA-256 in hexadecimal.
fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs_err::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies a file of the cache to where weights belong, if it is sound.
fn place(blob: &Path, to: &Path) -> Result<Contents, PullError> {
    if let Some(folder) = to.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let aside = Aside::of(to);
    fs_err::copy(blob, aside.path())?;
    fs_err::File::open(aside.path())?.sync_all()?;
    let contents = inspect::inspect(aside.path())?;
    aside.keep()?;
    Ok(contents)
}
