//! Which store, and how to get there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use ferryway_store::{EtcdSettings, Filling, Identity, Store, StoreError};
use uuid::Uuid;

use super::whole;

/// The largest file of a password, a certificate or a key, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1_024;
/// The prefix in etcd, where none is given.
const PREFIX: &str = "/ferryway/";

/// What a store in etcd needs to be reached. With a store in a folder they are refused.
#[derive(Debug, Args)]
pub(crate) struct EtcdFlags {
    /// Where in etcd the store lies: one prefix for each installation that shares it.
    #[arg(long, value_name = "PREFIX", default_value = PREFIX, global = true)]
    store_prefix: String,
    /// The user of etcd.
    #[arg(
        long,
        value_name = "NAME",
        requires = "store_password_file",
        global = true
    )]
    store_user: Option<String>,
    /// A file with that user's password, in one line.
    #[arg(long, value_name = "FILE", requires = "store_user", global = true)]
    store_password_file: Option<PathBuf>,
    /// The authority that signed etcd's certificates (PEM). With it etcd is spoken to by TLS.
    #[arg(long, value_name = "FILE", global = true)]
    store_ca: Option<PathBuf>,
    /// The certificate to show to etcd (PEM).
    #[arg(long, value_name = "FILE", requires_all = ["store_ca", "store_key"], global = true)]
    store_cert: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "store_cert", global = true)]
    store_key: Option<PathBuf>,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// In a folder of this machine.
    Embedded(PathBuf),
    /// In etcd.
    Etcd(EtcdSettings),
}

impl EtcdFlags {
    /// Reads where a store is: `embedded`, which is in `data_dir`, or `etcd://…`.
    ///
    /// # Errors
    /// A sentence: what is wrong with which flag.
    pub(crate) fn place(&self, store: &str, data_dir: Option<&Path>) -> Result<StorePlace, String> {
        match store {
            "embedded" => {
                self.say_nothing()?;
                data_dir
                    .map(|dir| StorePlace::Embedded(dir.to_owned()))
                    .ok_or_else(|| "--store embedded needs --data-dir".to_owned())
            }
            etcd if etcd.starts_with("etcd://") => self.etcd(etcd).map(StorePlace::Etcd),
            other => Err(format!(
                "--store {other:?} is no store; use --store embedded or --store etcd://HOST:PORT"
            )),
        }
    }

    /// Reads where a store is: a folder, or `etcd://…`.
    pub(crate) fn place_or_folder(&self, place: &str) -> Result<StorePlace, String> {
        if place.contains("://") {
            return self.place(place, None);
        }
        Ok(StorePlace::Embedded(place.into()))
    }

    /// That none of what is for etcd alone is set: it would be taken and mean nothing.
    fn say_nothing(&self) -> Result<(), String> {
        let Self {
            store_prefix,
            store_user,
            store_password_file,
            store_ca,
            store_cert,
            store_key,
        } = self;
        let set = [
            ("--store-prefix", store_prefix != PREFIX),
            ("--store-user", store_user.is_some()),
            ("--store-password-file", store_password_file.is_some()),
            ("--store-ca", store_ca.is_some()),
            ("--store-cert", store_cert.is_some()),
            ("--store-key", store_key.is_some()),
        ];
        match set.into_iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((flag, _)) => Err(format!(
                "{flag} is for etcd, and the store is a file: leave it out, or say --store \
                 etcd://HOST:PORT"
            )),
        }
    }

    fn etcd(&self, address: &str) -> Result<EtcdSettings, String> {
        let Self {
            store_prefix,
            store_user,
            store_password_file,
            store_ca,
            store_cert,
            store_key,
        } = self;
        let said = |error: StoreError| whole(&error);
        let settings = EtcdSettings::new(address);
        let settings = settings.map_err(|error| format!("--store: {}", whole(&error)))?;
        let settings = settings.with_prefix(store_prefix);
        let mut settings =
            settings.map_err(|error| format!("--store-prefix: {}", whole(&error)))?;
        if let (Some(user), Some(file)) = (store_user, store_password_file) {
            let password = String::from_utf8(read("--store-password-file", file)?)
                .map_err(|_| format!("--store-password-file: {} is no text", file.display()))?;
            settings = settings.with_user(user, password.trim_end_matches(['\r', '\n']));
        }
        if let Some(ca) = store_ca {
            settings = settings.with_tls(read("--store-ca", ca)?);
        }
        if let (Some(cert), Some(key)) = (store_cert, store_key) {
            let (cert, key) = (read("--store-cert", cert)?, read("--store-key", key)?);
            settings = settings.with_client_certificate(cert, key).map_err(said)?;
        }
        Ok(settings)
    }
}

impl StorePlace {
    /// Opens the store there, and makes it where there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::Embedded(dir) => Store::open(dir, Uuid::now_v7()).await,
            Self::Etcd(settings) => Store::open_etcd(settings, Uuid::now_v7()).await,
        }
    }

    /// Begins to fill a store there, where there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn begin(&self, identity: Identity) -> Result<Filling, StoreError> {
        match self {
            Self::Embedded(dir) => Filling::in_folder(dir.clone(), identity).await,
            Self::Etcd(settings) => Filling::in_etcd(settings, identity).await,
        }
    }

    /// Whether there is a store, as far as that can be said without making one.
    pub(crate) fn is_folder_without_store(&self) -> Option<&Path> {
        match self {
            Self::Embedded(dir) => {
                Some(dir.as_path()).filter(|dir| !dir.join("store.redb").exists())
            }
            Self::Etcd(_) => None,
        }
    }
}

impl std::fmt::Display for StorePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded(dir) => dir.display().fmt(f),
            Self::Etcd(settings) => settings.fmt(f),
        }
    }
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("{flag}: cannot read {}: {error}", path.display()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(format!(
            "{flag}: {} is over {FILE_BYTES_MAX} bytes",
            path.display()
        ));
    }
    Ok(bytes)
}
