//! Golden bytes pin the format; the property test pins that decoding is total.

use holdfast_domain::{
    Caller, Fingerprint, Money, Operation, OperationKey, OrderId, PaymentId, PaymentProvider, ProductId,
    Quantity, Role, SessionId, Timestamp, UserId,
    order::{PaymentReport, Reported},
    stock::Progress,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    budget::{Class, Subject},
    command::{
        self, Answer, By, Draw, Grant, OrderCommand, Payable, ProductCommand, Request, Reserve, Settle,
    },
};

fn header() -> Header {
    Header {
        message_id: Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f),
        operation_id: Some(Uuid::from_u128(u128::MAX)),
        traceparent: Some("00-ab".to_owned()),
        budget_ms: 2_000,
        hops: 2,
        map_version: 7,
        service: 1,
        shard: 255,
        epoch: 300,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}

#[test]
fn an_envelope_has_these_bytes() {
    let frame = encode_envelope(&header(), b"hi").unwrap();
    assert_eq!(
        hex(&frame),
        concat!(
            "01",                                   // version
            "10000102030405060708090a0b0c0d0e0f",   // message id, behind its length
            "0110ffffffffffffffffffffffffffffffff", // operation id, present
            "010530302d6162",                       // traceparent, present
            "fbd007",                               // budget, 2,000 ms
            "02",                                   // hops
            "0e",                                   // map version 7, zigzag
            "01",                                   // service
            "ff",                                   // shard
            "fb5802",                               // epoch 300, zigzag
            "026869",                               // body
        )
    );
    assert_eq!(decode_envelope(&frame).unwrap(), (header(), b"hi".to_vec()));
}

#[test]
fn replies_have_these_bytes() {
    let owner = Some(Uuid::from_u128(1));
    let cases: [(Reply, &str); 7] = [
        (Ok(b"hi".to_vec()), "0100026869"),
        (
            Err(RemoteError::NotOwner { owner, epoch: -1 }),
            "01010001100000000000000000000000000000000101",
        ),
        (
            Err(RemoteError::NotOwner {
                owner: None,
                epoch: 3,
            }),
            "0101000006",
        ),
        (Err(RemoteError::Overloaded), "010101"),
        (Err(RemoteError::Deadline), "010102"),
        (Err(RemoteError::Draining), "010103"),
        (Err(RemoteError::Internal), "010104"),
    ];
    for (reply, golden) in cases {
        let frame = encode_reply(&reply).unwrap();
        assert_eq!(hex(&frame), golden, "{reply:?}");
        assert_eq!(decode_reply(&frame).unwrap(), reply);
    }
}

#[test]
fn a_draw_on_a_budget_and_its_grant_have_these_bytes() {
    let address = std::net::Ipv4Addr::new(198, 51, 100, 7);
    let draw = Request::Budget(Draw {
        class: Class::Reads,
        subject: Subject::address(address.into()),
        wanted: 300,
    });
    assert_eq!(
        hex(&encode(&draw).unwrap()),
        concat!(
            "01",                               // version
            "04",                               // to a bucket
            "04",                               // reads
            "00",                               // by address
            "00000000000000000000ffffc6336407", // which one
            "fb2c01",                           // 300 tokens at most
        )
    );
    let caller = Request::Budget(Draw {
        class: Class::Register,
        subject: Subject::Caller([7; 16]),
        wanted: 1,
    });
    assert_eq!(
        hex(&encode(&caller).unwrap()),
        format!("01040001{}01", "07".repeat(16))
    );
    let grant = Answer::now(Ok(command::Reply::Grant(Grant {
        tokens: 2,
        remaining: 0,
        wait_ns: 100_000,
    })));
    assert_eq!(
        hex(&encode(&grant).unwrap()),
        concat!(
            "01",         // version
            "00",         // an answer, no refusal
            "0a",         // a grant
            "02",         // tokens
            "00",         // none left
            "fca0860100", // more in 100,000 ns
            "00",         // not replayed
        )
    );
    let read: Answer = decode(&encode(&grant).unwrap()).unwrap();
    assert_eq!(read, grant);
}

#[test]
fn requests_about_payments_and_rounds_have_these_bytes() {
    let id = |n: u8| Uuid::from_bytes([n; 16]);
    let report = PaymentReport {
        id: PaymentId(id(1)),
        provider: PaymentProvider::Test,
        reference: "pay_1".to_owned(),
        amount: Money::new(1_999, "EUR".parse().unwrap()),
        outcome: Reported::Declined("no".to_owned()),
    };
    let operation = Operation {
        principal: id(2),
        route: "r".to_owned(),
        key: OperationKey::parse("event 12").unwrap(),
        fingerprint: Fingerprint([3; 32]),
        named_by_client: true,
    };
    let by = By {
        caller: Caller {
            user_id: UserId(id(6)),
            session_id: SessionId(id(8)),
            role: Role::Customer,
        },
        operation: operation.clone(),
    };
    let payable = Payable {
        id: PaymentId(id(1)),
        provider: PaymentProvider::Test,
        method: "card".to_owned(),
    };
    let named = OrderCommand::PayNamed(by, OrderId(id(4)), payable, "pay_1".to_owned());
    let named = Request::Order(named);
    let reported = Request::Order(OrderCommand::Report(operation, OrderId(id(4)), report));
    let reserve = Reserve {
        product_id: ProductId(id(5)),
        order_id: OrderId(id(4)),
        quantity: Quantity::new(2).unwrap(),
        customer_id: UserId(id(6)),
    };
    let reserved = Request::Product(ProductCommand::ReserveAnew(reserve, 1));
    let settle = Settle {
        product_id: ProductId(id(5)),
        order_id: OrderId(id(4)),
        seller_id: UserId(id(7)),
        quantity: Quantity::new(2).unwrap(),
        target: Progress {
            shipped: 0,
            released: 2,
        },
        actor_id: UserId(id(6)),
        at: Timestamp::from_unix_micros(-1),
    };
    let settled = Request::Product(ProductCommand::SettleAnew(settle, 1));
    let uuid = |n: u8| format!("10{}", hex(&[n; 16]));
    let cases = [
        (
            reported,
            [
                "010306",             // version, to an order, a report
                &uuid(2),             // principal
                "0172",               // route
                "086576656e74203132", // key
                &hex(&[3; 32]),       // fingerprint
                "01",                 // named by the client
                &uuid(4),             // order
                &uuid(1),             // payment
                "01",                 // the test provider
                "057061795f31",       // reference
                "fb9e0f",             // 1,999, zigzag
                "03455552",           // EUR
                "01026e6f",           // declined, and why
            ]
            .concat(),
        ),
        (
            named,
            [
                "010307",             // version, to an order, a payment with a name
                &uuid(6),             // the customer
                &uuid(8),             // and the session
                "00",                 // a customer
                &uuid(2),             // principal
                "0172",               // route
                "086576656e74203132", // key
                &hex(&[3; 32]),       // fingerprint
                "01",                 // named by the client
                &uuid(4),             // order
                &uuid(1),             // payment
                "01",                 // the test provider
                "0463617264",         // method
                "057061795f31",       // reference
            ]
            .concat(),
        ),
        (
            reserved,
            ["010208", &uuid(5), &uuid(4), "02", &uuid(6), "01"].concat(),
        ),
        (
            settled,
            [
                "010209",
                &uuid(5),
                &uuid(4),
                &uuid(7),
                "02",
                "0002",
                &uuid(6),
                "01",
                "01",
            ]
            .concat(),
        ),
    ];
    for (request, golden) in cases {
        let frame = encode(&request).unwrap();
        assert_eq!(hex(&frame), golden, "{request:?}");
        let read: Request = decode(&frame).unwrap();
        assert_eq!(format!("{read:?}"), format!("{request:?}"));
    }
}

#[test]
fn bytes_taken_whole_and_bytes_taken_singly_look_the_same() {
    let whole = encode_reply(&Ok(vec![0, 1, 250, 255])).unwrap();
    let singly = encode(&Ok::<Vec<u8>, RemoteError>(vec![0, 1, 250, 255])).unwrap();
    assert_eq!(whole, singly);
}

#[test]
fn an_empty_frame_is_refused() {
    assert!(matches!(decode::<u8>(&[]), Err(WireError::Empty)));
}

#[test]
fn another_version_is_refused_before_its_payload_is_read() {
    assert!(matches!(
        decode::<u8>(&[2, 0xfe, 0xfe]),
        Err(WireError::Version {
            found: 2,
            expected: 1
        })
    ));
}

#[test]
fn a_batch_has_these_bytes() {
    let parcels = [
        Parcel::Call {
            id: 7,
            frame: b"hi".to_vec(),
        },
        Parcel::Answer {
            id: 300,
            frame: b"yo".to_vec(),
        },
    ];
    let batch = encode_batch(&parcels).unwrap();
    assert_eq!(
        hex(&batch),
        concat!(
            "02",         // version
            "02",         // two parcels
            "0007026869", // a call, its number, the frame behind its length
            "01fb2c01",   // an answer to call 300
            "02796f",
        )
    );
    assert_eq!(decode_batch(&batch).unwrap(), parcels);
}

#[test]
fn the_longest_frame_fits_in_a_batch_and_a_batch_in_nothing_shorter() {
    let longest = vec![7; MAX_FRAME_BYTES];
    let parcel = Parcel::Answer {
        id: u64::MAX,
        frame: longest,
    };
    let batch = encode_batch(std::slice::from_ref(&parcel)).unwrap();
    assert!(decode_batch(&batch).unwrap() == [parcel.clone()]);
    assert!(matches!(
        encode_batch(&[parcel.clone(), parcel]),
        Err(WireError::TooLarge)
    ));
    assert!(matches!(
        decode_batch(&vec![NEWEST_VERSION; MAX_BATCH_BYTES + 1]),
        Err(WireError::TooLarge)
    ));
}

#[test]
fn trailing_bytes_are_refused() {
    let mut frame = encode(&7_u8).unwrap();
    frame.extend([0, 0]);
    assert!(matches!(
        decode::<u8>(&frame),
        Err(WireError::Trailing { count: 2 })
    ));
}

#[test]
fn a_truncated_frame_is_refused() {
    let frame = encode_envelope(&header(), b"body").unwrap();
    for length in 1..frame.len() {
        assert!(matches!(
            decode_envelope(&frame[..length]),
            Err(WireError::Malformed(_))
        ));
    }
}

#[test]
fn the_limit_holds_in_both_directions() {
    // Version byte, variant, and a length of four bytes stand before the body.
    let fits = Ok(vec![0; MAX_FRAME_BYTES - 7]);
    let frame = encode_reply(&fits).unwrap();
    assert_eq!(frame.len(), MAX_FRAME_BYTES);
    assert_eq!(decode_reply(&frame).unwrap(), fits);

    let exceeds = Ok(vec![0; MAX_FRAME_BYTES - 6]);
    assert!(matches!(encode_reply(&exceeds), Err(WireError::TooLarge)));
    assert!(matches!(
        decode::<Vec<u8>>(&vec![OLDEST_VERSION; MAX_FRAME_BYTES + 1]),
        Err(WireError::TooLarge)
    ));
}

#[test]
fn a_frame_full_of_small_integers_is_not_taken_for_a_large_one() {
    let numbers = vec![1_u128; MAX_FRAME_BYTES - 6];
    let frame = encode(&numbers).unwrap();
    assert_eq!(frame.len(), MAX_FRAME_BYTES);
    assert!(decode::<Vec<u128>>(&frame).unwrap() == numbers);
}

#[test]
fn a_claimed_length_beyond_the_limit_allocates_nothing() {
    // A vector that claims 2^62 elements, in a frame of ten bytes.
    let frame = [OLDEST_VERSION, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0x40];
    assert!(matches!(decode::<Vec<u64>>(&frame), Err(WireError::Malformed(_))));
}

proptest! {
    #[test]
    fn decoding_arbitrary_bytes_never_panics(mut frame in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode_envelope(&frame);
        let _ = decode_reply(&frame);
        // Most random frames die on their first byte; the rest of the decoder deserves some too.
        if let Some(version) = frame.first_mut() {
            *version = OLDEST_VERSION;
        }
        let _ = decode_envelope(&frame);
        let _ = decode_reply(&frame);
        let _ = decode::<Vec<Option<String>>>(&frame);
        if let Some(version) = frame.first_mut() {
            *version = NEWEST_VERSION;
        }
        let _ = decode_batch(&frame);
    }

    #[test]
    fn a_batch_survives_the_wire(
        parcels in proptest::collection::vec(
            (any::<bool>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..64)),
            0..16,
        ),
    ) {
        let parcels: Vec<Parcel> = parcels
            .into_iter()
            .map(|(asks, id, frame)| if asks { Parcel::Call { id, frame } } else { Parcel::Answer { id, frame } })
            .collect();
        let batch = encode_batch(&parcels).unwrap();
        prop_assert!(batch.len() <= 16 + parcels.iter().map(Parcel::size).sum::<usize>());
        prop_assert_eq!(decode_batch(&batch).unwrap(), parcels);
    }

    #[test]
    fn an_envelope_survives_the_wire(
        ids in any::<[u128; 2]>(),
        operation in any::<bool>(),
        traceparent in proptest::option::of(".{0,64}"),
        numbers in any::<(u32, u8, i64, u8, u8, i64)>(),
        body in proptest::collection::vec(any::<u8>(), 0..256),
    ) {
        let (budget_ms, hops, map_version, service, shard, epoch) = numbers;
        let header = Header {
            message_id: Uuid::from_u128(ids[0]),
            operation_id: operation.then(|| Uuid::from_u128(ids[1])),
            traceparent,
            budget_ms,
            hops,
            map_version,
            service,
            shard,
            epoch,
        };
        let frame = encode_envelope(&header, &body).unwrap();
        prop_assert_eq!(decode_envelope(&frame).unwrap(), (header, body));
    }
}
