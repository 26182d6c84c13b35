//! Parameters that are lists, objects, or any JSON.

use super::number::GivenNumber;
use super::{Params, decode, why_json};
use crate::{Error, ErrorCode, Limits, TaskId};
use serde_json::Value;
use serde_json::value::RawValue;

impl<'a> Params<'a> {
    /// A list of at most `Limits::batch` names of at most `Limits::name_bytes`. A string is a list with one element. Empty if
    /// missing, null, 0, false or "".
    pub fn names(&self, name: &str, limits: &Limits) -> Result<Vec<String>, Error> {
        if self.is_blank(name) {
            return Ok(Vec::new());
        }
        let Some(raw) = self.raw(name) else {
            return Ok(Vec::new());
        };
        let list = match raw.as_bytes().first() {
            Some(b'"') => decode(raw).ok().map(|one| vec![one]),
            _ => serde_json::from_str::<Vec<String>>(raw).ok(),
        };
        let fits = |n: &String| !n.is_empty() && n.len() <= limits.name_bytes;
        match list {
            Some(list) if list.len() <= limits.batch && list.iter().all(fits) => Ok(list),
            _ => Err(self.refuse(
                name,
                &format!(
                    "a list of at most {} strings, each of 1 to {} bytes",
                    limits.batch, limits.name_bytes
                ),
            )),
        }
    }

    /// A list of at most `Limits::batch` task ids, without duplicates. Empty if missing or null.
    pub fn ids(&self, name: &str, limits: &Limits) -> Result<Vec<TaskId>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(Vec::new());
        };
        let list = serde_json::from_str::<Vec<&RawValue>>(raw)
            .ok()
            .and_then(|items| {
                let read =
                    |item: &&RawValue| GivenNumber::read(item.get()).and_then(GivenNumber::whole);
                items.iter().map(read).collect::<Option<Vec<TaskId>>>()
            });
        match list {
            Some(list) if list.len() <= limits.batch => Ok(each_once(list)),
            _ => Err(self.refuse(
                name,
                &format!("a list of at most {} task ids", limits.batch),
            )),
        }
    }

    /// A nested object. `None` if missing, null or false.
    pub fn object(&self, name: &str) -> Result<Option<Params<'a>>, Error> {
        match self.raw(name) {
            None | Some("false") => Ok(None),
            Some(raw) => Params::parse_at(raw, format!("{}{name}.", self.path)).map(Some),
        }
    }

    /// A list of nested objects. `None` if missing or null.
    ///
    /// # Errors
    /// `too_large` for more than `Limits::batch` objects.
    pub fn objects(&self, name: &str, limits: &Limits) -> Result<Option<Vec<Params<'a>>>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        let rule = || format!("a list of at most {} objects", limits.batch);
        let items = serde_json::from_str::<Vec<&'a RawValue>>(raw)
            .map_err(|_| self.refuse(name, &rule()))?;
        if items.len() > limits.batch {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "`{}{name}` has {} entries, the hub takes {}",
                    self.path,
                    items.len(),
                    limits.batch
                ),
            ));
        }
        let one = |(at, item): (usize, &&'a RawValue)| {
            if item.get().starts_with('{') {
                return Params::parse_at(item.get(), format!("{}{name}[{at}].", self.path));
            }
            Err(self.refuse(name, &rule()))
        };
        items
            .iter()
            .enumerate()
            .map(one)
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    /// Refuses JSON of more than `max` bytes with `too_large`.
    pub fn check_bytes(&self, name: &str, max: usize) -> Result<(), Error> {
        match self.raw(name).map(str::len) {
            Some(bytes) if bytes > max => Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "`{}{name}` has {bytes} bytes, the hub takes {max}",
                    self.path
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Any JSON. `None` if missing or null.
    ///
    /// # Errors
    /// `too_large` for more than `max` bytes.
    pub fn json(&self, name: &str, max: usize) -> Result<Option<Value>, Error> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        self.check_bytes(name, max)?;
        serde_json::from_str(raw).map(Some).map_err(|e| {
            Error::invalid_params(format!(
                "invalid params: `{}{name}`: {}",
                self.path,
                why_json(&e)
            ))
        })
    }
}

fn each_once(list: Vec<TaskId>) -> Vec<TaskId> {
    let mut seen = std::collections::HashSet::with_capacity(list.len());
    list.into_iter().filter(|id| seen.insert(*id)).collect()
}
