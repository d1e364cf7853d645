//! Keyset pages: each begins after the last item of the one before, so inserts shift nothing.

/// The most items that a page may have.
pub const PAGE_LIMIT_MAX: u32 = 200;

/// Asks for a page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// How many items at most; held within `1..=`[`PAGE_LIMIT_MAX`].
    pub limit: u32,
    /// The key of the last item already seen; `None`: from the beginning.
    pub after: Option<K>,
}

impl<K> PageRequest<K> {
    /// Asks for the first `limit` items.
    pub const fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// Returns how many rows to read: one more than the page holds, to learn whether others follow.
    pub(crate) fn probe(&self) -> i64 {
        i64::from(self.limit.clamp(1, PAGE_LIMIT_MAX)) + 1
    }

    /// Makes the page from the rows that were read with [`Self::probe`] as their limit.
    pub(crate) fn page<T>(&self, mut items: Vec<T>, key_of: impl Fn(&T) -> K) -> Page<T, K> {
        let limit = self.limit.clamp(1, PAGE_LIMIT_MAX) as usize;
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(key_of);
        Page { items, next }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// What to pass as [`PageRequest::after`] for the next page; `None`: this is the last one.
    pub next: Option<K>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_ends_the_list_has_no_next() {
        let request = PageRequest::<i64>::first(2);
        assert_eq!(request.probe(), 3);
        let full = request.page(vec![1, 2], |n| *n);
        assert_eq!(
            full,
            Page {
                items: vec![1, 2],
                next: None
            }
        );
        let more = request.page(vec![1, 2, 3], |n| *n);
        assert_eq!(
            more,
            Page {
                items: vec![1, 2],
                next: Some(2)
            }
        );
    }

    #[test]
    fn limits_are_held_within_bounds() {
        assert_eq!(PageRequest::<i64>::first(0).probe(), 2);
        assert_eq!(PageRequest::<i64>::first(u32::MAX).probe(), 201);
    }
}
