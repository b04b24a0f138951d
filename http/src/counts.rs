//! What has been counted, for those who watch a server.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one server. Nobody's names, and nothing of what was asked.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicU64,
    displaced: AtomicU64,
    refused: AtomicU64,
    /// Answers by the first digit of their status: 2, 4, 5.
    answered: [AtomicU64; 3],
    unauthorized: AtomicU64,
}

impl Counts {
    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn displaced(&self) {
        self.displaced.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, status: u16) {
        let [fine, wrong, failed] = &self.answered;
        let class = match status {
            ..400 => fine,
            400..500 => wrong,
            500.. => failed,
        };
        class.fetch_add(1, Ordering::Relaxed);
        if status == 401 {
            self.unauthorized.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters as Prometheus reads them.
    #[must_use]
    pub fn text(&self) -> String {
        let [fine, wrong, failed] = &self.answered;
        let mut text = String::new();
        let rows = [
            ("connections_total", "Connections accepted.", &self.connections),
            ("connections_displaced_total", "Idle ones that made room.", &self.displaced),
            ("connections_refused_total", "Ones there was no room for.", &self.refused),
            ("requests_ok_total", "Answers below 400.", fine),
            ("requests_client_error_total", "Answers of 400 to 499.", wrong),
            ("requests_server_error_total", "Answers of 500 and more.", failed),
            ("requests_unauthorized_total", "Answers of 401.", &self.unauthorized),
        ];
        for (name, help, value) in rows {
            let value = value.load(Ordering::Relaxed);
            // Writing to a string does not fail.
            let _never_fails = write!(
                text,
                "# HELP nono_http_{name} {help}\n# TYPE nono_http_{name} counter\nnono_http_{name} {value}\n"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_once() {
        let counts = Counts::default();
        [200, 202, 401, 404, 503].into_iter().for_each(|status| counts.answered(status));
        let text = counts.text();
        for line in [
            "nono_http_requests_ok_total 2",
            "nono_http_requests_client_error_total 2",
            "nono_http_requests_server_error_total 1",
            "nono_http_requests_unauthorized_total 1",
            "nono_http_connections_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }
}
