//! What a handler gives back: an answer, or the fault it ended with.

use beem_caller::metadata;
use beem_fault::Fault;
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Response, Status};

/// What a handler of a unary RPC gives back.
pub type Reply<T> = Result<Response<T>, Status>;

/// Of what this call computes.
///
/// # Errors
/// The fault.
pub async fn reply<T>(work: impl Future<Output = Result<T, Fault>> + Send) -> Reply<T> {
    work.await.map(Response::new).map_err(Status::from)
}

/// Of an encoded answer under a key, marked when it is an earlier one.
///
/// # Errors
/// The fault, marked likewise; `internal` for bytes that are no such message.
pub fn answered<T: Message + Default>(result: Result<Vec<u8>, Fault>, replayed: bool) -> Reply<T> {
    let answer = result.and_then(|bytes| T::decode(bytes.as_slice()).map_err(Fault::internal));
    let mut reply = answer.map(Response::new).map_err(Status::from);
    if replayed {
        let marks = match &mut reply {
            Ok(response) => response.metadata_mut(),
            Err(status) => status.metadata_mut(),
        };
        marks.insert(metadata::REPLAYED, MetadataValue::from_static("true"));
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark<T>(reply: &Reply<T>) -> Option<&str> {
        let marks = match reply {
            Ok(response) => response.metadata(),
            Err(status) => status.metadata(),
        };
        marks.get(metadata::REPLAYED).map(|mark| mark.to_str().unwrap())
    }

    #[test]
    fn an_earlier_outcome_is_marked_and_a_new_one_is_not() {
        for (replayed, marked) in [(true, Some("true")), (false, None)] {
            assert_eq!(mark(&answered::<()>(Ok(Vec::new()), replayed)), marked);
            let refusal = answered::<()>(Err(Fault::not_found("wallet")), replayed);
            assert_eq!(mark(&refusal), marked);
            assert_eq!(refusal.unwrap_err().code(), tonic::Code::NotFound);
        }
    }

    #[test]
    fn bytes_that_are_no_answer_are_a_failure_of_ours() {
        let reply = answered::<String>(Ok(vec![0xff]), false);
        assert_eq!(reply.unwrap_err().code(), tonic::Code::Internal);
    }
}
