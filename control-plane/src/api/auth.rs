//! Who is calling: the seam where authentication will be. Every service but health and reflection stands behind it.
//!
//! With `--insecure` nobody is asked for anything: what the caller says about itself is kept as the author of its
//! changes and decides nothing.

use std::sync::Arc;

use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::api::status::Problem;

/// Metadata key under which an unauthenticated client says who it is.
pub(crate) const AUTHOR_METADATA: &str = "inlet-author";
/// Author of changes whose client did not say.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// Longest author, in bytes.
const MAX_AUTHOR_BYTES: usize = 128;

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Kept with every change that it makes.
    pub(crate) author: String,
}

/// Finds out who is calling.
pub(crate) trait Authenticator: Send + Sync {
    /// From a request's metadata (a token) and extensions (the connection: its address, later its certificate).
    /// Errors: [`Problem::Unauthenticated`], or an argument that cannot be.
    fn authenticate(&self, request: &Request<()>) -> Result<Identity, Problem>;
}

/// Believes everybody (`--insecure`).
pub(crate) struct Anyone;

impl Authenticator for Anyone {
    fn authenticate(&self, request: &Request<()>) -> Result<Identity, Problem> {
        let Some(value) = request.metadata().get(AUTHOR_METADATA) else {
            return Ok(Identity {
                author: ANONYMOUS.to_owned(),
            });
        };
        let author = value.to_str().ok().map(str::trim);
        let author = author.filter(|text| !text.is_empty() && text.len() <= MAX_AUTHOR_BYTES);
        let author = author.ok_or_else(|| Problem::Argument {
            field: AUTHOR_METADATA,
            message: format!("must be 1 to {MAX_AUTHOR_BYTES} printable ASCII characters"),
        })?;
        Ok(Identity {
            author: author.to_owned(),
        })
    }
}

/// Puts the [`Identity`] into the extensions of each request, or refuses it.
#[derive(Clone)]
pub(crate) struct Gate(pub(crate) Arc<dyn Authenticator>);

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let identity = self.0.authenticate(&request)?;
        request.extensions_mut().insert(identity);
        Ok(request)
    }
}

/// The author of a request that came through the [`Gate`].
pub(crate) fn author<T>(request: &Request<T>) -> String {
    let identity = request.extensions().get::<Identity>();
    identity.map_or_else(|| ANONYMOUS.to_owned(), |identity| identity.author.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_are_what_the_client_says_within_bounds() {
        let cases = [
            (None, Ok("anonymous")),
            (
                Some("alice@example.com".to_owned()),
                Ok("alice@example.com"),
            ),
            (Some(" alice ".to_owned()), Ok("alice")),
            (Some(String::new()), Err(())),
            (Some("x".repeat(129)), Err(())),
        ];
        for (given, expected) in cases {
            let mut request = Request::new(());
            if let Some(given) = &given {
                let value = given.parse().unwrap();
                request.metadata_mut().insert(AUTHOR_METADATA, value);
            }
            let found = Anyone.authenticate(&request);
            let found = found.as_ref().map(|identity| identity.author.as_str());
            assert_eq!(found.map_err(|_| ()), expected, "{given:?}");
        }
    }
}
