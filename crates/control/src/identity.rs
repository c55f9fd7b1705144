//! Who is who: the authority of the instances' certificates, and how instances get theirs.
//!
//! An authority is made at the first start and lies in the store, its key sealed with a secret key
//! that does not; or it is given by files. What is trusted follows the store: several control
//! planes on one store trust and issue alike.

mod beside;
mod enrollment;
mod keeping;
mod secret_key;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ferryway_api::{AuthorityItem, AuthorityState};
use ferryway_delivery::Guard;
use ferryway_model::{Code, Problem};
use ferryway_runtime::Tasks;
use ferryway_tls::{
    Acceptor, Authority, Fingerprint, Now, ServerKey, TlsError, TrustDomain, Validity,
    certificates_pem, read_certificates,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use crate::core::{
    Actor, AuthorityKeyRecord, AuthorityRecord, Core, CoreError, Idempotency, NotDropped,
};
use crate::settings::whole;

use source::{NONE, Source};

/// What the identity of instances rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// The folder that the secret key is made in.
    pub data_dir: PathBuf,
    /// A file with the secret key; none: one is made in the data folder.
    pub secret_key_file: Option<PathBuf>,
    /// Certificate and key of an authority; none: one is made.
    pub authority_files: Option<(PathBuf, PathBuf)>,
    /// The first part of all names in certificates.
    pub trust_domain: TrustDomain,
    /// Names and addresses by which this control plane is reached.
    pub names: Vec<String>,
    /// How long an instance's certificate lives.
    pub certificate_lifetime: SignedDuration,
}

impl IdentitySettings {
    /// Where the secret key lies, or shall.
    fn secret_key_place(&self) -> PathBuf {
        let in_folder = || self.data_dir.join("secret.key");
        self.secret_key_file.clone().unwrap_or_else(in_folder)
    }
}

#[cfg(test)]
impl IdentitySettings {
    pub(crate) fn for_tests(data_dir: &std::path::Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            secret_key_file: None,
            authority_files: None,
            trust_domain: "ferryway.internal".parse().expect("is a trust domain"),
            names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            certificate_lifetime: SignedDuration::from_hours(24),
        }
    }
}

/// The authority at work. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Identity(Arc<Shared>);

struct Shared {
    core: Core,
    data_dir: PathBuf,
    source: Source,
    domain: TrustDomain,
    names: Vec<String>,
    lifetime: SignedDuration,
    /// The newest last: it issues.
    authorities: RwLock<Arc<Vec<Authority>>>,
    /// Of the delivery port; none where that speaks plaintext.
    acceptor: Option<Acceptor>,
    /// The next refusal that is noted in the audit is not one before this time.
    noted_next: Mutex<Instant>,
    /// Certificates that were shown, and are to be noted: of each instance one, its number and its
    /// end. Bounded by the instances that are known.
    shown: Mutex<BTreeMap<Uuid, (Uuid, Timestamp)>>,
}

/// What proves who is who on the delivery port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Certificates.
    Certificates,
    /// Nothing: everybody is on this host (`--dev`).
    None,
}

/// How long the certificate of a port lives. It is made anew at each start, and at half its life.
const SERVER_CERTIFICATE_LIVES: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Identity {
    /// Reads the authority, and makes one where there is none yet. `tasks` owns what follows it.
    ///
    /// # Errors
    /// A sentence for people.
    pub(crate) async fn start(
        core: &Core,
        settings: &IdentitySettings,
        proof: Proof,
        tasks: &Tasks,
    ) -> Result<Self, String> {
        let (source, authorities) = Source::find(core, settings, proof).await?;
        let acceptor = match proof {
            Proof::None => None,
            Proof::Certificates => {
                let (domain, names) = (&settings.trust_domain, &settings.names);
                let clock = core.clone();
                let now = Now::new(move || clock.now());
                let acceptor = server_key(core, &authorities, domain, names)
                    .and_then(|key| Acceptor::of_instances(key, anchors(&authorities), now));
                Some(acceptor.map_err(|error| whole(&error))?)
            }
        };
        let identity = Self(Arc::new(Shared {
            core: core.clone(),
            data_dir: settings.data_dir.clone(),
            source,
            domain: settings.trust_domain.clone(),
            names: settings.names.clone(),
            lifetime: settings.certificate_lifetime,
            authorities: RwLock::new(Arc::new(authorities)),
            acceptor,
            noted_next: Mutex::new(Instant::now()),
            shown: Mutex::default(),
        }));
        if let Ok(fingerprint) = identity.fingerprint() {
            tracing::info!(%fingerprint, trust_domain = %settings.trust_domain, "instances are known by certificates of this authority");
            identity.show_authorities();
        }
        let keeper = identity.clone();
        tasks.spawn("keep the authority", |stop| async move {
            tokio::select! {
                () = keeper.keep() => {}
                () = stop.requested() => {}
            }
        });
        Ok(identity)
    }

    /// What the delivery port needs; none where it speaks plaintext.
    pub(crate) fn guard(&self) -> Option<Guard> {
        Some(Guard {
            acceptor: self.0.acceptor.clone()?,
            registrar: Arc::new(self.clone()),
        })
    }

    /// Writes what is trusted to a file in the data folder, for people and for callers of the API.
    fn show_authorities(&self) {
        let authorities = self.authorities();
        let path = self.0.data_dir.join("authority.pem");
        // Whoever reads it meanwhile reads the one or the other.
        let temporary = self.0.data_dir.join("authority.pem.new");
        let written = fs::write(&temporary, certificates_pem(anchors(&authorities)))
            .and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            let path = path.display();
            tracing::warn!(%path, %error, "the authority's certificate could not be written to a file; GET /authority shows it");
        }
    }

    /// A certificate for a port of this control plane.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn server_key(&self) -> Result<ServerKey, TlsError> {
        let Shared {
            core,
            domain,
            names,
            ..
        } = &*self.0;
        server_key(core, &self.authorities(), domain, names)
    }

    /// Of the authority that issues: what join tokens carry.
    ///
    /// # Errors
    /// The store's authority can't be opened here.
    pub(crate) fn fingerprint(&self) -> Result<Fingerprint, CoreError> {
        let authorities = self.opened()?;
        let newest = authorities.last().map(Authority::fingerprint);
        newest.ok_or_else(|| CoreError::Unavailable(NONE.to_owned()))
    }

    /// The authorities, where they could be opened.
    fn opened(&self) -> Result<Arc<Vec<Authority>>, CoreError> {
        match &self.0.source {
            Source::Unopened(why) => Err(CoreError::Unavailable(why.clone())),
            Source::Store(_) | Source::Files => Ok(self.authorities()),
        }
    }

    fn authorities(&self) -> Arc<Vec<Authority>> {
        let authorities = self.0.authorities.read();
        Arc::clone(&authorities.unwrap_or_else(PoisonError::into_inner))
    }

    /// What is trusted, and which instances hold a certificate of what.
    ///
    /// # Errors
    /// The store's authority can't be opened here.
    pub(crate) fn state(&self) -> Result<AuthorityState, CoreError> {
        let authorities = self.opened()?;
        let now = self.0.core.now();
        let items = authorities.iter().enumerate().map(|(n, authority)| {
            let fingerprint = authority.fingerprint().to_string();
            let mut item = AuthorityItem {
                certificate: certificates_pem([authority.anchor()]),
                issues: n + 1 == authorities.len(),
                instances: BTreeMap::new(),
                fingerprint,
            };
            self.0.core.read(|memory| {
                let living = memory.living_identities(now);
                for (_, record) in living.filter(|(_, r)| *r.held() == item.fingerprint) {
                    *item.instances.entry(record.group.to_string()).or_default() += 1;
                }
            });
            item
        });
        Ok(AuthorityState {
            trust_domain: self.0.domain.to_string(),
            given: matches!(self.0.source, Source::Files),
            authorities: items.collect(),
        })
    }

    /// Makes a new authority, which issues from now on. The old one stays trusted until every
    /// instance has a certificate of the new one, or somebody drops it.
    ///
    /// # Errors
    /// It is given by files, the change before is not over, or the store failed.
    pub(crate) async fn rotate(
        &self,
        actor: &Actor,
        idempotency: Option<&Idempotency>,
    ) -> Result<(), CoreError> {
        let key = match &self.0.source {
            Source::Store(key) => key,
            Source::Unopened(why) => return Err(CoreError::Unavailable(why.clone())),
            Source::Files => {
                let message = "the authority was given by --ca-cert: put a new certificate of the same \
                               root there, with the root after it, and restart";
                return Err(CoreError::Refused(vec![Problem::new(
                    Code::InUse,
                    "",
                    message,
                )]));
            }
        };
        let (record, fingerprint) =
            source::make(&self.0.core, key, &self.0.domain).map_err(CoreError::Unavailable)?;
        let fingerprint = fingerprint.to_string();
        self.0
            .core
            .add_authority(actor, (&record, &fingerprint), idempotency)
            .await?;
        self.follow().map_err(CoreError::Unavailable)
    }

    /// Ends the trust in an authority that does not issue any more. Instances that have no newer
    /// certificate need a join token from then on; they serve on with what they have.
    ///
    /// # Errors
    /// There is none of this fingerprint, it issues, or the store failed.
    pub(crate) async fn drop_authority(
        &self,
        actor: &Actor,
        fingerprint: &str,
    ) -> Result<(), CoreError> {
        let find = |record: &AuthorityRecord| {
            let all = &record.authorities;
            let is_it = |one: &AuthorityKeyRecord| {
                let read = read_certificates(one.certificate.as_bytes()).unwrap_or_default();
                let read = read.first();
                read.is_some_and(|der| Fingerprint::of(der).to_string() == fingerprint)
            };
            let index = all.iter().position(is_it).ok_or(NotDropped::Unknown)?;
            if index + 1 == all.len() {
                return Err(NotDropped::Issues);
            }
            Ok(index)
        };
        self.0.core.drop_authority(actor, fingerprint, find).await?;
        self.follow().map_err(CoreError::Unavailable)
    }

    /// Brings what is trusted to what the store says, and makes a fresh certificate for the port.
    ///
    /// # Errors
    /// A sentence: what the store says cannot be used. Then everything stays as it is.
    fn follow(&self) -> Result<(), String> {
        if let Source::Store(key) = &self.0.source {
            let record = self.0.core.authorities();
            let record = record.ok_or("the store has lost its authority")?;
            let authorities = Arc::new(source::opened(&record, key)?);
            let mut current = self
                .0
                .authorities
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *current = authorities;
            drop(current);
            self.show_authorities();
        }
        self.renew_server_key().map_err(|error| whole(&error))
    }

    fn renew_server_key(&self) -> Result<(), TlsError> {
        let Some(acceptor) = &self.0.acceptor else {
            return Ok(());
        };
        let authorities = self.authorities();
        let key = self.server_key()?;
        acceptor.replace(key, anchors(&authorities))
    }
}

fn anchors(authorities: &[Authority]) -> impl Iterator<Item = &[u8]> {
    authorities.iter().map(Authority::anchor)
}

/// The newest authority issues; those before it vouch for it, to whoever knows no other.
fn server_key(
    core: &Core,
    authorities: &[Authority],
    domain: &TrustDomain,
    names: &[String],
) -> Result<ServerKey, TlsError> {
    let validity = Validity {
        now: core.now(),
        lifetime: SERVER_CERTIFICATE_LIVES,
    };
    let (newest, older) = authorities
        .split_last()
        .ok_or_else(|| TlsError::Unfit(NONE.to_owned()))?;
    let mut vouched = Vec::new();
    for old in older {
        vouched.push(old.vouch(newest, Uuid::now_v7(), validity)?);
        vouched.push(old.anchor().to_vec());
    }
    newest.server_key(domain, names, &vouched, Uuid::now_v7(), validity)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("domain", &self.0.domain)
            .field("authorities", &self.authorities())
            .finish_non_exhaustive()
    }
}
