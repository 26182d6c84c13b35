//! `pool_down`: a pool cannot run tasks.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::{NoticeData, NoticeKind, PoolDownParams};

pub fn begin(params: PoolDownParams, _: &mut RequestScope<'_>) -> Begun {
    let data = NoticeData {
        name: Some(params.pool),
        status: Some(params.state),
        error: params.note,
        ..NoticeData::default()
    };
    let add = Command::AddNotice {
        kind: NoticeKind::PoolDown,
        data: Box::new(data),
    };
    Ok(Started::Submit(add, finish_ok))
}
