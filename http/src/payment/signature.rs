//! A signature as its header states it: `t=1700000000,v1=<hex>,v1=<hex>`.

use std::str::FromStr;

/// The length of an HMAC-SHA256.
const TAG_BYTES: usize = 32;
/// Signatures that are looked at; one for each key that a provider has in use.
const TAGS_MAX: usize = 8;

/// When a body was signed, and its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// Seconds since 1970, as they were signed.
    pub(super) time: String,
    /// The same, as a number.
    pub(super) time_s: i64,
    /// Signatures of the scheme `v1`; those of others are passed over.
    pub(super) tags: Vec<[u8; TAG_BYTES]>,
}

/// Why a body is not taken for its provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSignature {
    /// The header is missing or cannot be read.
    #[error("send Payment-Signature: t=<seconds since 1970>,v1=<hex of HMAC-SHA256 over t.body>")]
    Malformed,
    /// There is more than one header.
    #[error("send one Payment-Signature header; it may hold several v1")]
    Several,
    /// No signature is of this body and time under a key of the provider.
    #[error("no signature is of this body and time under a secret of this provider")]
    Other,
    /// It was signed too long ago, or in the future.
    #[error("the body was not signed within the last 300 s; sign it anew")]
    Untimely,
}

impl FromStr for Signature {
    type Err = BadSignature;

    fn from_str(header: &str) -> Result<Self, BadSignature> {
        let (mut time, mut tags) = (None, Vec::new());
        for element in header.split(',') {
            let (name, value) = element.trim().split_once('=').ok_or(BadSignature::Malformed)?;
            match name {
                "t" if time.is_none() => time = Some(value),
                "v1" if tags.len() < TAGS_MAX => tags.push(tag(value).ok_or(BadSignature::Malformed)?),
                "t" | "v1" => return Err(BadSignature::Malformed),
                _ => {}
            }
        }
        let time = time.filter(|time| time.bytes().all(|byte| byte.is_ascii_digit()));
        match time.and_then(|time| Some((time, time.parse().ok()?))) {
            Some((time, time_s)) if !tags.is_empty() => Ok(Self {
                time: time.to_owned(),
                time_s,
                tags,
            }),
            _ => Err(BadSignature::Malformed),
        }
    }
}

/// Reads 64 hexadecimal digits.
fn tag(text: &str) -> Option<[u8; TAG_BYTES]> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let text = text.as_bytes();
    if text.len() != 2 * TAG_BYTES {
        return None;
    }
    let mut tag = [0; TAG_BYTES];
    for (byte, digits) in tag.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(header: &str) -> Result<Signature, BadSignature> {
        header.parse()
    }

    #[test]
    fn several_signatures_are_read_and_other_schemes_passed_over() {
        let (one, two) = ("0a".repeat(32), "FF".repeat(32));
        let read = parse(&format!("t=12, v1={one},v0=x,v1={two}")).expect("a signature");
        assert_eq!((read.time.as_str(), read.time_s), ("12", 12));
        assert_eq!(read.tags, [[0x0a; 32], [0xff; 32]]);
    }

    #[test]
    fn what_is_not_a_signature_is_refused() {
        let tag = "0a".repeat(32);
        let many = vec![format!("v1={tag}"); TAGS_MAX + 1].join(",");
        for header in [
            String::new(),
            "t=12".to_owned(),
            format!("v1={tag}"),
            format!("t=,v1={tag}"),
            format!("t=-1,v1={tag}"),
            format!("t=+1,v1={tag}"),
            format!("t=1,t=2,v1={tag}"),
            format!("t=99999999999999999999,v1={tag}"),
            format!("t=1,v1={}", &tag[2..]),
            format!("t=1,v1={}", "zz".repeat(32)),
            format!("t=1,v1={tag}é"),
            format!("t=1,{many}"),
            "nonsense".to_owned(),
        ] {
            assert_eq!(parse(&header), Err(BadSignature::Malformed), "{header}");
        }
    }

    /// What is nearly a header.
    fn nearly() -> impl Strategy<Value = String> {
        let element = prop_oneof![
            "t=[0-9]{0,22}",
            "t=.{0,3}",
            "v1=[0-9a-fA-F]{64}",
            "v1=[0-9a-fg]{62,66}",
            "v[0-9]=.{0,4}",
            ".{0,6}",
        ];
        prop::collection::vec(element, 0..12).prop_map(|elements| elements.join(","))
    }

    proptest! {
        #[test]
        fn reading_any_header_is_total_and_what_is_read_was_sent(header in prop_oneof![nearly(), any::<String>()]) {
            if let Ok(signature) = parse(&header) {
                prop_assert!((1..=TAGS_MAX).contains(&signature.tags.len()));
                prop_assert!(signature.time_s >= 0);
                prop_assert_eq!(signature.time.parse::<i64>(), Ok(signature.time_s));
                let signed = format!("t={}", signature.time);
                prop_assert_eq!(header.split(',').filter(|element| element.trim() == signed).count(), 1);
            }
        }

        #[test]
        fn what_was_signed_is_read_back(time: u32, tags in prop::collection::vec(any::<[u8; TAG_BYTES]>(), 1..=TAGS_MAX)) {
            let written = tags.iter().map(|tag| {
                let digits = tag.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                let digits: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
                format!(",v1={digits}")
            });
            let header = format!("t={time}{}", written.collect::<String>());
            let expected = Signature { time: time.to_string(), time_s: time.into(), tags };
            prop_assert_eq!(parse(&header), Ok(expected));
        }
    }
}
