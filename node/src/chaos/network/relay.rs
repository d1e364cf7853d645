//! One connection through a relay.

use std::io;

use super::{Flow, Gate, Ways};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

/// What a relay holds of each direction at most; more waits in the kernel, and
/// then at the sender.
const BUFFER_BYTES: usize = 64 * 1024;

/// Carries bytes between `near`, which made the connection, and `far`, until
/// an end closes or a way is cut. `first` was read from `near` already.
pub(super) async fn carry<N, F>(near: N, far: F, first: Vec<u8>, ways: Ways)
where
    N: AsyncRead + AsyncWrite,
    F: AsyncRead + AsyncWrite,
{
    let (near_read, near_write) = split(near);
    let (far_read, far_write) = split(far);
    let Ways { there, back } = ways;
    let (mut there_cut, mut back_cut) = (there.flow.subscribe(), back.flow.subscribe());
    // Whichever ends first ends the connection: neither the link nor the
    // database's protocol goes on half-closed.
    tokio::select! {
        _ = pump(near_read, far_write, first, &there) => {}
        _ = pump(far_read, near_write, Vec::new(), &back) => {}
        _ = there_cut.wait_for(|flow| *flow == Flow::Cut) => {}
        _ = back_cut.wait_for(|flow| *flow == Flow::Cut) => {}
    }
}

/// Carries one direction: `first`, then whatever `from` yields.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    first: Vec<u8>,
    gate: &Gate,
) -> io::Result<()> {
    let mut flow = gate.flow.subscribe();
    let mut buffer = first;
    let mut length = buffer.len();
    buffer.resize(BUFFER_BYTES.max(length), 0);
    loop {
        // An end of the stream is held back as its bytes are.
        if flow.wait_for(|flow| *flow != Flow::Held).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
        gate.passed.send_modify(|passed| *passed += length as u64);
        length = from.read(&mut buffer).await?;
        if length == 0 {
            let _ = flow.wait_for(|flow| *flow != Flow::Held).await;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::super::{Gate, Ways};
    use super::{Flow, carry};

    struct Line {
        near: DuplexStream,
        far: DuplexStream,
        there: Gate,
        back: Gate,
    }

    fn line() -> Line {
        let (near, near_end) = duplex(64);
        let (far, far_end) = duplex(64);
        let (there, back) = (Gate::default(), Gate::default());
        let ways = Ways {
            there: there.clone(),
            back: back.clone(),
        };
        tokio::spawn(carry(near_end, far_end, b"hello ".to_vec(), ways));
        Line {
            near,
            far,
            there,
            back,
        }
    }

    async fn read(stream: &mut DuplexStream, length: usize) -> String {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_what_was_read_before_first() {
        let mut line = line();
        line.near.write_all(b"there").await.unwrap();
        assert_eq!(read(&mut line.far, 11).await, "hello there");
        line.far.write_all(b"back").await.unwrap();
        assert_eq!(read(&mut line.near, 4).await, "back");
        assert_eq!(*line.there.passed.borrow(), 11);
        assert_eq!(*line.back.passed.borrow(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_that_is_held_lets_the_other_direction_pass_and_loses_nothing() {
        let mut line = line();
        assert_eq!(read(&mut line.far, 6).await, "hello ");
        line.there.flow.send_replace(Flow::Held);
        line.near.write_all(b"late").await.unwrap();
        line.far.write_all(b"back").await.unwrap();
        assert_eq!(read(&mut line.near, 4).await, "back");
        let early = timeout(Duration::from_mins(1), line.far.read_u8()).await;
        assert!(early.is_err(), "nothing comes while it is held");
        line.there.flow.send_replace(Flow::Open);
        assert_eq!(read(&mut line.far, 4).await, "late");
    }

    #[tokio::test]
    async fn a_cut_in_either_direction_ends_the_connection() {
        let mut line = line();
        line.back.flow.send_replace(Flow::Cut);
        let mut rest = Vec::new();
        line.far.read_to_end(&mut rest).await.unwrap();
        assert_eq!(line.near.read(&mut [0]).await.unwrap(), 0);
    }
}
