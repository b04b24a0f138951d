//! Raw output of runs, as MCP resources: `nono://run/ID/stdout?offset=0&length=1000`.

use crate::runs::Stream;
use crate::session::Session;
use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, ResourceContents, ResourceTemplate};

/// What the address of such a resource starts with.
const PREFIX: &str = "nono://run/";
/// Bytes in one answer: base64 makes a third more of them, and clients read whole messages.
const MAX_LENGTH: u64 = 4 << 20;

/// How addresses are made.
pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new("nono://run/{run_id}/{stream}{?offset,length}", "output of a run")
        .with_title("Raw output of a run")
        .with_description(
            "Bytes a run wrote, exactly. stream is stdout or stderr; offset and length are in \
             bytes, at most 4 MiB in one read.",
        )
}

/// An address, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Address<'u> {
    run_id: &'u str,
    stream: Stream,
    offset: u64,
    length: u64,
}

/// Answers a read.
///
/// # Errors
/// A protocol error that says what is wrong with the address.
pub(crate) fn read(session: &Session, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let address = parse(uri).ok_or_else(|| {
        let message = format!(
            "`{uri}` is no resource of this server; they look like \
             nono://run/RUN_ID/stdout?offset=0&length=65536"
        );
        not_found(message, uri)
    })?;
    let run = session.runs.get(address.run_id).ok_or_else(|| {
        let live = session.runs.live_list();
        let message = format!("there is no run `{}`; live runs: {live}", address.run_id);
        not_found(message, uri)
    })?;
    // May read megabytes from the spool.
    let bytes = tokio::task::block_in_place(|| {
        run.view().bytes(address.stream, address.offset, address.length)
    });
    let bytes = bytes.map_err(|gap| {
        let message = format!(
            "bytes {} to {} of this stream were not kept; read before or behind them",
            gap.start, gap.end
        );
        ErrorData::invalid_params(message, None)
    })?;
    let contents = match String::from_utf8(bytes) {
        Ok(text) => ResourceContents::text(text, uri),
        Err(error) => ResourceContents::blob(base64(error.as_bytes()), uri)
            .with_mime_type("application/octet-stream"),
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

/// The address that was asked for stands in the error, as the protocol recommends.
fn not_found(message: String, uri: &str) -> ErrorData {
    ErrorData::resource_not_found(message, Some(serde_json::json!({ "uri": uri })))
}

fn parse(uri: &str) -> Option<Address<'_>> {
    let rest = uri.strip_prefix(PREFIX)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (run_id, stream) = path.split_once('/')?;
    let stream = match stream {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => return None,
    };
    let mut address = Address { run_id, stream, offset: 0, length: MAX_LENGTH };
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=')?;
        let value = value.parse().ok()?;
        match name {
            "offset" => address.offset = value,
            "length" => address.length = value.min(MAX_LENGTH),
            _ => return None,
        }
    }
    Some(address)
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        let address =
            |run_id, stream, offset, length| Some(Address { run_id, stream, offset, length });
        assert_eq!(parse("nono://run/r-1/stdout"), address("r-1", Stream::Stdout, 0, MAX_LENGTH));
        assert_eq!(
            parse("nono://run/r-1/stderr?offset=5&length=7"),
            address("r-1", Stream::Stderr, 5, 7)
        );
        for wrong in [
            "file:///etc/passwd",
            "nono://run/r-1",
            "nono://run/r-1/stdin",
            "nono://run/r-1/stdout?offset=-1",
            "nono://run/r-1/stdout?size=1",
            "nono://run/r-1/stdout/x",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
