//! Key pairs of a cluster: create, list, rotate, grant, revoke.
//!
//! Where a cluster asks for keys, these calls too are signed by the pair of `--key`: the operator's, at first.
//!
//! Must never: print a secret twice; it is shown when it is made, and only then.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use proto::admin::v1::keys_client::KeysClient;
use proto::admin::v1::{
    CreateKeyRequest, GrantKeyRequest, Key, KeyGrant, ListKeysRequest, RevokeKeyRequest, RotateKeyRequest,
};

use crate::error::Error;
use crate::file::Kind;
use crate::link::{self, Signed};
use crate::reach::Reach;
use crate::screen;

/// What to do with key pairs.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a pair; prints its id and, this once, its secret.
    Create {
        #[command(flatten)]
        reach: Reach,
        /// What its holder may do: PATTERN=send,receive,manage. Once per pattern; `orders*` is a beginning, `*` all. Without one
        /// he may see how nodes stand, and no more.
        #[arg(long = "grant", value_parser = parse_grant)]
        grants: Vec<KeyGrant>,
    },
    /// Show every pair, without its secret.
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Draw a new secret; prints it, this once.
    Rotate {
        #[command(flatten)]
        reach: Reach,
        /// The pair's id.
        id: String,
        /// How long the former secret stays good, seconds.
        #[arg(long, default_value_t = 0)]
        overlap_s: u64,
    },
    /// Change what a pair may do.
    Grant {
        #[command(flatten)]
        reach: Reach,
        /// The pair's id.
        id: String,
        /// As for `create`.
        #[arg(long = "grant", value_parser = parse_grant, required = true)]
        grants: Vec<KeyGrant>,
    },
    /// Take a pair away.
    Revoke {
        #[command(flatten)]
        reach: Reach,
        /// The pair's id.
        id: String,
    },
}

fn parse_grant(text: &str) -> Result<KeyGrant, String> {
    let (pattern, rights) = text.split_once('=').ok_or("a grant is written PATTERN=send,receive,manage")?;
    let mut grant = KeyGrant { pattern: pattern.to_owned(), ..KeyGrant::default() };
    for right in rights.split(',') {
        match right {
            "send" => grant.send = true,
            "receive" => grant.receive = true,
            "manage" => grant.manage = true,
            other => return Err(format!("{other:?} is no right; there are send, receive, manage")),
        }
    }
    Ok(grant)
}

/// Does what was asked.
pub(crate) async fn keys(verb: Keys) -> Result<bool, Error> {
    let failed = || |status: tonic::Status| Error::call::<&str>("key pairs")(status.message());
    match verb {
        Keys::Create { reach, grants } => {
            let reply = client(&reach).await?.create_key(CreateKeyRequest { grants }).await.map_err(failed())?;
            let made = reply.into_inner();
            screen::out(&format!("{} {}", made.id, made.secret));
        }
        Keys::List { reach } => {
            let reply = client(&reach).await?.list_keys(ListKeysRequest {}).await.map_err(failed())?;
            reply.into_inner().keys.iter().for_each(|key| screen::out(&line(key)));
        }
        Keys::Rotate { reach, id, overlap_s } => {
            let overlap_ms = u64::try_from(Duration::from_secs(overlap_s).as_millis()).unwrap_or(u64::MAX);
            let reply = client(&reach).await?.rotate_key(RotateKeyRequest { id, overlap_ms }).await.map_err(failed())?;
            screen::out(&reply.into_inner().secret);
        }
        Keys::Grant { reach, id, grants } => {
            client(&reach).await?.grant_key(GrantKeyRequest { id, grants }).await.map_err(failed())?;
        }
        Keys::Revoke { reach, id } => {
            client(&reach).await?.revoke_key(RevokeKeyRequest { id }).await.map_err(failed())?;
        }
    }
    Ok(true)
}

/// The first queue node that can be reached.
async fn client(reach: &Reach) -> Result<KeysClient<Signed>, Error> {
    let cluster = reach.cluster().await?;
    let mut last = Err(Error::Impossible("this cluster has no queue nodes".to_owned()));
    for node in cluster.of(Kind::Queue) {
        match link::connected(&node.grpc).await {
            Ok(channel) => return Ok(KeysClient::new(channel)),
            Err(error) => last = Err(error),
        }
    }
    last
}

/// Draws the operator's key pair of a local cluster; one that is there stays. Errors: `Io`.
pub(crate) fn draw_operator(file: &Path) -> Result<(), Error> {
    let made = File::options().write(true).create_new(true).mode(0o600).open(file);
    let mut made = match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(Error::on(file))?,
    };
    let text = format!("AKIDoperator {:032x}\n", rand::random::<u128>());
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(Error::on(file))
}

fn line(key: &Key) -> String {
    let rights = |grant: &KeyGrant| {
        let given = [(grant.send, "send"), (grant.receive, "receive"), (grant.manage, "manage")];
        let names: Vec<&str> = given.iter().filter(|(is_given, _)| *is_given).map(|(_, name)| *name).collect();
        format!("{}={}", grant.pattern, names.join(","))
    };
    let grants: Vec<String> = key.grants.iter().map(rights).collect();
    format!("{}  {}", key.id, grants.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_a_pattern_and_rights() {
        let both = KeyGrant { pattern: "or*".to_owned(), send: true, receive: true, manage: false };
        assert_eq!(parse_grant("or*=send,receive"), Ok(both.clone()));
        for bad in ["", "or*", "or*=", "or*=dance", "or*=send,"] {
            assert!(parse_grant(bad).is_err(), "{bad:?}");
        }
        let key = Key { id: "AKIDx".to_owned(), grants: vec![both], ..Key::default() };
        assert_eq!(line(&key), "AKIDx  or*=send,receive");
    }
}
