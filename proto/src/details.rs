//! What an error of the API says beyond its status code: the `google.rpc` messages in `grpc-status-details-bin`.
//!
//! Written by the control plane, read by `lbctl`. Every violation of a refused change is one [`FieldViolation`]:
//! - `field`: where, as far as it is known, joined with `: ` - the origin given with the upsert, kind and full name,
//!   the field's path: `shop.yaml:12: Rule shop/https/catalog: conditions[0].pathPattern.values[1]`;
//! - `description`: what is wrong and what would be right;
//! - `reason`: the class, as `MALFORMED`, `REFERENCE`, `PROTECTED`, `CLASH`, `QUOTA`, `NOT_FOUND`.
//!
//! So `field: description` is the line to print.

use std::collections::HashMap;

use prost::Message;
use prost_types::Any;

/// The largest message that both ends of the API accept, in bytes. Clients raise their limit (4 MiB) to this.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// `ErrorInfo.domain` of all our errors.
pub const DOMAIN: &str = "inlet";

/// One mistake in a request.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FieldViolation {
    /// Where; may be empty.
    #[prost(string, tag = "1")]
    pub field: String,
    /// What is wrong.
    #[prost(string, tag = "2")]
    pub description: String,
    /// The class of the mistake.
    #[prost(string, tag = "3")]
    pub reason: String,
}

/// The reason of an error, for programs.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ErrorInfo {
    /// As `REVISION_CONFLICT`.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// Always [`DOMAIN`].
    #[prost(string, tag = "2")]
    pub domain: String,
    /// Facts by name.
    #[prost(map = "string, string", tag = "3")]
    pub metadata: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// The details of one error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// Every mistake in the request; often empty.
    pub violations: Vec<FieldViolation>,
    /// The reason, for programs.
    pub info: Option<ErrorInfo>,
}

impl Details {
    /// The bytes of `grpc-status-details-bin`.
    pub fn encode(&self, code: i32, message: &str) -> Vec<u8> {
        let mut details = Vec::new();
        details.extend(self.info.as_ref().map(|info| pack("ErrorInfo", info)));
        if !self.violations.is_empty() {
            let field_violations = self.violations.clone();
            details.push(pack("BadRequest", &BadRequest { field_violations }));
        }
        let status = RpcStatus {
            code,
            message: message.to_owned(),
            details,
        };
        status.encode_to_vec()
    }

    /// Reads `grpc-status-details-bin`; what is unknown in it is skipped, and empty bytes are no details.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut all = Self::default();
        for any in RpcStatus::decode(bytes).unwrap_or_default().details {
            match any.type_url.rsplit('/').next() {
                Some("google.rpc.ErrorInfo") => all.info = ErrorInfo::decode(&*any.value).ok(),
                Some("google.rpc.BadRequest") => {
                    let request = BadRequest::decode(&*any.value).unwrap_or_default();
                    all.violations.extend(request.field_violations);
                }
                _ => {}
            }
        }
        all
    }
}

fn pack(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/google.rpc.{name}"),
        value: message.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_travel_whole() {
        let details = Details {
            violations: vec![FieldViolation {
                field: "shop.yaml:12: Rule shop/https/catalog: priority".to_owned(),
                description: "must be 1 to 50000".to_owned(),
                reason: "MALFORMED".to_owned(),
            }],
            info: Some(ErrorInfo {
                reason: "INVALID".to_owned(),
                domain: DOMAIN.to_owned(),
                metadata: HashMap::from([("revision".to_owned(), "7".to_owned())]),
            }),
        };
        let bytes = details.encode(3, "a message");
        assert_eq!(Details::decode(&bytes), details);
        assert_eq!(Details::decode(b""), Details::default());
        assert_eq!(Details::decode(b"\xff\xff"), Details::default());
    }
}
