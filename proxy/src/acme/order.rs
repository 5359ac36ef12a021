//! One order from the account to the certificate (RFC 8555, section 7.1).

use std::sync::Arc;
use std::time::Duration;

use edgeweir_config::{Acme, AcmeChallenge};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};

use super::http::{Client, roots};
use super::store::{Kept, Store};
use super::{Challenges, Registry};
use crate::tls::TlsError;

/// How long the authority may take for each of: looking at the challenges, making the certificate.
const PATIENCE: Duration = Duration::from_secs(120);
/// Problems of RFC 8555, section 6.7.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
const RATE_LIMITED: &str = "urn:ietf:params:acme:error:rateLimited";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// What the authority or the way to it says.
    #[error(transparent)]
    Authority(#[from] Error),
    /// Certificates on disk or in memory.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The external account's key.
    #[error("the key of the external account is no base64url")]
    ExternalKey,
    /// The configuration wants a challenge that is not to be had.
    #[error("the authority does not offer {challenge} for `{name}`")]
    NoChallenge {
        /// As it is written.
        challenge: &'static str,
        /// The name.
        name: String,
    },
    /// The authority looked and was not satisfied.
    #[error("the authority refuses: {0}")]
    Refused(String),
    /// The secret of the external account.
    #[error("external account: {0}")]
    Secret(String),
    /// The edge stops.
    #[error("the edge stops")]
    Stopped,
    /// It cannot be made.
    #[error("cannot make a request for a certificate")]
    Request(#[source] rcgen::Error),
}

impl OrderError {
    /// Whether the authority says that it was asked too often.
    pub(super) fn is_rate_limit(&self) -> bool {
        self.is(RATE_LIMITED)
    }

    fn is(&self, kind: &str) -> bool {
        matches!(self, Self::Authority(Error::Api(problem)) if problem.r#type.as_deref() == Some(kind))
    }
}

/// What the authority gave.
pub(super) struct Issued {
    /// PEM.
    pub(super) key: String,
    /// PEM, the leaf first.
    pub(super) chain: String,
}

/// Gets a certificate. `secret` is the external account's key.
pub(super) async fn fetch(
    registry: &Registry,
    acme: &Acme,
    names: &[String],
    secret: Option<String>,
) -> Result<Issued, OrderError> {
    match attempt(registry, acme, names, secret.as_deref()).await {
        // The authority has lost it, or it was deactivated.
        Err(error) if error.is(NO_ACCOUNT) => {
            tracing::warn!(
                directory = acme.directory_url,
                "the authority does not know the account: a new one is made"
            );
            registry.store.forget_account(&acme.directory_url);
            attempt(registry, acme, names, secret.as_deref()).await
        }
        done => done,
    }
}

async fn attempt(
    registry: &Registry,
    acme: &Acme,
    names: &[String],
    secret: Option<&str>,
) -> Result<Issued, OrderError> {
    let account = account(&registry.store, acme, secret).await?;
    let identifiers: Vec<Identifier> = names.iter().map(|name| Identifier::Dns(name.clone())).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    // They wait until this is over, however it ends.
    let mut waiting = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let kind = match acme.challenge {
            AcmeChallenge::Http01 => ChallengeType::Http01,
            AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let mut challenge = authorization
            .challenge(kind)
            .ok_or_else(|| OrderError::NoChallenge { challenge: acme.challenge.as_str(), name: name.clone() })?;
        waiting.push(expect(&registry.challenges, acme.challenge, &name, &challenge)?);
        challenge.set_ready().await?;
    }
    let policy = RetryPolicy::default().timeout(PATIENCE);
    match order.poll_ready(&policy).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => return Err(refusal(&mut order).await),
        // The order says less than its authorizations.
        Err(Error::Api(problem)) => {
            let said = refusal(&mut order).await;
            return Err(match said {
                OrderError::Refused(said) if !said.is_empty() => OrderError::Refused(said),
                _ => Error::Api(problem).into(),
            });
        }
        Err(error) => return Err(error.into()),
    }
    drop(waiting);
    let key = rcgen::KeyPair::generate().map_err(OrderError::Request)?;
    let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(OrderError::Request)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(OrderError::Request)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&policy).await?;
    Ok(Issued { key: key.serialize_pem(), chain })
}

fn expect(
    challenges: &Arc<Challenges>,
    kind: AcmeChallenge,
    name: &str,
    challenge: &instant_acme::ChallengeHandle<'_>,
) -> Result<super::challenges::Waiting, TlsError> {
    let authorization = challenge.key_authorization();
    match kind {
        AcmeChallenge::Http01 => Ok(challenges.await_request(&challenge.token, authorization.as_str())),
        AcmeChallenge::TlsAlpn01 => challenges.await_handshake(name, authorization.digest().as_ref()),
    }
}

/// What the authority says of the names that it could not verify.
async fn refusal(order: &mut Order) -> OrderError {
    let mut said = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // Without an answer there is nothing to say.
        let _best_effort = authorization.refresh().await;
        let name = authorization.identifier().to_string();
        said.extend(authorization.challenges.iter().filter_map(|challenge| {
            let problem = challenge.error.as_ref()?;
            Some(format!("{name}: {}", problem.detail.as_deref().or(problem.r#type.as_deref()).unwrap_or("no reason")))
        }));
    }
    OrderError::Refused(said.join("; "))
}

/// The account in the state folder, or a new one.
async fn account(store: &Store, acme: &Acme, secret: Option<&str>) -> Result<Account, OrderError> {
    let ca_file = acme.ca_file.clone();
    let roots = tokio::task::spawn_blocking(move || roots(ca_file.as_deref()));
    let roots = roots.await.map_err(|_stopped| OrderError::Stopped)??;
    let builder = Account::builder_with_http(Box::new(Client::new(roots)?));
    let contact = acme.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let keep = |kept: &Kept| {
        if let Err(error) = store.keep_account(&acme.directory_url, kept) {
            // The certificate is worth more; the next order makes another account.
            tracing::error!(%error, "the account with the authority cannot be kept");
        }
    };
    if let Some(mut kept) = store.account(&acme.directory_url) {
        let told = kept.email == acme.email;
        let again = serde_json::to_value(&kept.credentials).and_then(serde_json::from_value).map_err(Error::Json)?;
        let account = builder.from_credentials(kept.credentials).await?;
        if !told {
            account.update_contacts(&contact).await?;
            kept = Kept { email: acme.email.clone(), credentials: again };
            keep(&kept);
        }
        return Ok(account);
    }
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = match (&acme.external_account, secret) {
        (Some(external), Some(secret)) => {
            use base64::Engine as _;
            let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(secret.trim_end_matches('='));
            let key = key.map_err(|_invalid| OrderError::ExternalKey)?;
            Some(ExternalAccountKey::new(external.key_id.clone(), &key))
        }
        _ => None,
    };
    let (account, credentials) = builder.create(&new, acme.directory_url.clone(), external.as_ref()).await?;
    keep(&Kept { email: acme.email.clone(), credentials });
    tracing::info!(directory = acme.directory_url, "account with the authority made");
    Ok(account)
}
