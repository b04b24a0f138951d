//! What is wrong with a token.

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no signed JWT, or one whose claims cannot be read.
    Malformed,
    /// It is signed in a way that is not taken, or not at all.
    Algorithm,
    /// It is signed with a key that the authorization server does not publish.
    UnknownKey,
    /// The signature is another's.
    Signature,
    /// It is no longer valid.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// Another issuer made it.
    Issuer,
    /// It was made for another server.
    Audience,
    /// It does not say who made it, for which server, or until when it is valid.
    Unclear,
}

impl Fault {
    /// What is wrong, for the client.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Malformed => "the token is no signed JWT, nor one that this server was given",
            Self::Algorithm => "the token is not signed with an algorithm that is taken here",
            Self::UnknownKey => "the token is signed with a key that is not known here",
            Self::Signature => "the signature of the token is wrong",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Issuer => "the token has another issuer",
            Self::Audience => "the token is for another audience",
            Self::Unclear => "the token needs the claims iss, aud and exp",
        }
    }
}
