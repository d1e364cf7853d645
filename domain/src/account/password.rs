//! What makes a password acceptable: length, and not being one that everybody tries.

use crate::FieldError;

/// The shortest password, in characters.
pub const PASSWORD_MIN_CHARS: usize = 10;
/// The longest password, in characters: a bound on the work of hashing it.
pub const PASSWORD_MAX_CHARS: usize = 128;

/// Guesses within which a password counts as a common one: a word list's length.
const COMMON_GUESSES: u64 = 10_000;

/// Checks a new password.
///
/// A password is common if zxcvbn finds it within its first ten thousand guesses. NIST SP 800-63B
/// asks for length and a list of known passwords and advises against rules of composition.
pub fn check_password(field: &str, password: &str, email: &str) -> Result<(), FieldError> {
    let chars = password.chars().count();
    if !(PASSWORD_MIN_CHARS..=PASSWORD_MAX_CHARS).contains(&chars) {
        return Err(FieldError::new(
            field,
            format!("must have {PASSWORD_MIN_CHARS} to {PASSWORD_MAX_CHARS} characters"),
        ));
    }
    if password.eq_ignore_ascii_case(email) || zxcvbn::zxcvbn(password, &[]).guesses() < COMMON_GUESSES {
        return Err(FieldError::new(
            field,
            "is too common: choose one that others would not try",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_passwords_are_refused() {
        for password in ["password123", "1234567890", "qwertyuiop", "aaaaaaaaaa"] {
            assert!(
                check_password("/password", password, "a@b.c").is_err(),
                "{password}"
            );
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(check_password("/password", "grün-äpfel", "a@b.c").is_ok());
        assert!(check_password("/password", "short-one", "a@b.c").is_err());
        assert!(check_password("/password", &"long-enough ".repeat(11), "a@b.c").is_err());
    }

    #[test]
    fn ones_own_address_is_no_password() {
        assert!(check_password("/password", "Ada@Example.com", "ada@example.com").is_err());
    }
}
