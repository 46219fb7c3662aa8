//! Name resolution with an error of its own, so that a wrong host name is recognised by type and
//! not by the text of a library's message.

use reqwest::dns::{Name, Resolve, Resolving};

#[derive(Debug, thiserror::Error)]
#[error("the host name cannot be resolved")]
pub(crate) struct UnresolvedName;

#[derive(Debug)]
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // reqwest puts the port in afterwards.
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(addresses) => {
                    let addresses: Vec<_> = addresses.collect();
                    Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
                }
                Err(_) => Err(UnresolvedName.into()),
            }
        })
    }
}
