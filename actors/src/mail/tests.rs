use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use holdfast_domain::{Email, Timestamp};

use super::{
    Mail, MailError, MailOptions, MailTransport, Mailer, NotTaken, check_sender, check_smtp_url,
    with_password,
};

fn mail(id: &str) -> Mail {
    Mail {
        id: id.to_owned(),
        to: Email::parse("ada@example.com").unwrap(),
        subject: "Your order".to_owned(),
        body: "Hello,\n\nthank you.\n".to_owned(),
        at: Timestamp::from_unix_micros(1_800_000_000_000_000),
    }
}

fn spool_in(directory: &std::path::Path, max_files: usize) -> Mailer {
    Mailer::new(&MailOptions {
        sender: "The Shop <shop@example.com>".to_owned(),
        transport: MailTransport::Spool {
            directory: directory.join("mail"),
            max_files,
        },
        attempts: 3,
        retry_first: Duration::from_secs(1),
        retry_max: Duration::from_secs(1),
    })
    .unwrap()
}

fn refusal(url: &str, password_follows: bool) -> &'static str {
    match check_smtp_url(url, password_follows) {
        Err(MailError::Url(why)) => why,
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_is_spooled_once_however_often_it_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let mailer = spool_in(home.path(), 10);
    mailer.send(&mail("one")).await.unwrap();
    let path = home.path().join("mail").join("one.eml");
    let first = fs::read_to_string(&path).unwrap();
    mailer.send(&mail("one")).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    assert_eq!(fs::read_dir(home.path().join("mail")).unwrap().count(), 1);
    for header in [
        "From: \"The Shop\" <shop@example.com>\r\n",
        "To: ada@example.com\r\n",
        "Message-ID: <one@example.com>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
    ] {
        assert!(first.contains(header), "{header:?} is not in {first}");
    }
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_spool_that_is_full_takes_messages_again_once_it_was_emptied() {
    let home = tempfile::tempdir().unwrap();
    let mailer = spool_in(home.path(), 1);
    mailer.send(&mail("one")).await.unwrap();
    let full = mailer.send(&mail("two")).await.unwrap_err();
    assert!(!full.for_good && full.reason.contains("full"), "{full:?}");
    fs::remove_file(home.path().join("mail").join("one.eml")).unwrap();
    mailer.send(&mail("two")).await.unwrap();
}

#[tokio::test]
async fn an_address_that_mail_does_not_know_is_refused_for_good() {
    let home = tempfile::tempdir().unwrap();
    let odd = Mail {
        to: Email::parse("a,b@example.com").unwrap(),
        ..mail("one")
    };
    let refused = spool_in(home.path(), 10).send(&odd).await.unwrap_err();
    assert!(matches!(refused, NotTaken { for_good: true, .. }), "{refused:?}");
}

#[test]
fn a_password_never_crosses_the_network_in_the_clear() {
    for url in [
        "smtps://shop:hunter2@mail.example.com",
        "smtp://shop:hunter2@mail.example.com:587?tls=required",
        "smtp://shop:hunter2@127.0.0.1:2525",
        "smtp://shop:hunter2@[::1]:2525",
        "smtp://mail.example.com",
    ] {
        check_smtp_url(url, false).unwrap();
    }
    assert!(refusal("smtp://shop:hunter2@mail.example.com", false).contains("in the clear"));
    assert!(refusal("smtp://shop@mail.example.com", true).contains("in the clear"));
    assert!(refusal("smtp://mail.example.com?tls=opportunistic", false).contains("`required`"));
}

#[test]
fn a_url_that_names_no_relay_is_refused() {
    assert!(refusal("mail.example.com", false).contains("such as smtps://"));
    assert!(refusal("https://mail.example.com", false).contains("begin with smtp://"));
    assert!(refusal("smtp:mail.example.com", false).contains("host"));
    assert!(refusal("smtps://shop@mail.example.com", false).contains("without a password"));
    assert!(refusal("smtps://mail.example.com", true).contains("user"));
    assert!(refusal("smtps://a:b@mail.example.com", true).contains("beside"));
    assert!(refusal("smtps://mail.example.com?ssl=on", false).contains("parameter"));
}

#[test]
fn a_password_from_a_file_may_have_any_characters() {
    let url = with_password("smtps://shop@mail.example.com", "a/b@c:d%?#").unwrap();
    check_smtp_url(&url, false).unwrap();
    let parsed = url::Url::parse(&url).unwrap();
    assert_eq!(parsed.host_str(), Some("mail.example.com"));
    assert_eq!(parsed.password(), Some("a%2Fb%40c%3Ad%%3F%23"));
}

#[test]
fn the_url_of_a_relay_is_never_shown() {
    let transport = MailTransport::Smtp {
        url: "smtps://shop:hunter2@mail.example.com".to_owned(),
        ca: None,
        timeout: Duration::from_secs(1),
    };
    assert!(!format!("{transport:?}").contains("hunter2"));
}

#[test]
fn a_sender_is_an_address_with_or_without_a_name() {
    check_sender("shop@example.com").unwrap();
    check_sender("The Shop <shop@example.com>").unwrap();
    assert!(check_sender("the shop").is_err());
}
