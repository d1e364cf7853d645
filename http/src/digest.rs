//! SHA-256, which names refresh tokens, request bodies and the queries of cursors.

use aws_lc_rs::digest::{Context, SHA256};

/// Hashes the parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256_of_the_parts_in_a_row() {
        let hash = sha256(&[b"a", b"bc"]);
        assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(hash, sha256(&[b"abc"]));
    }
}
