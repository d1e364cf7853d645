//! Lists on the wire: a page of items, and the cursor of the next one.

use holdfast_actors::client::{Page, PageRequest};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{problem::Problem, reply::Reply, request::ListRequest};

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items, in the list's order.
    data: Vec<T>,
    /// Send this as `cursor` for the next page; null: this was the last one.
    next_cursor: Option<String>,
}

impl<T: Serialize> List<T> {
    /// Answers a page, which was read from the database just now unless it is marked otherwise.
    pub(crate) fn page<D, K>(list: &ListRequest<K>, page: Page<D, K>) -> Result<Reply, Problem>
    where
        T: From<D>,
        K: Serialize + DeserializeOwned,
    {
        let next_cursor = page.next.map(|key| list.cursor_after(key)).transpose()?;
        let data = page.items.into_iter().map(T::from).collect();
        Ok(Reply::ok(&Self { data, next_cursor })?.stale_by(0))
    }
}

impl<K: Clone> ListRequest<K> {
    /// Returns what the store is asked for.
    pub(crate) fn page(&self) -> PageRequest<K> {
        PageRequest {
            limit: self.limit,
            after: self.after.clone(),
        }
    }
}
