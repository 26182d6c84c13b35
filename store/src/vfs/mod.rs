//! A thin layer between SQLite and the file system: the write-ahead log is written in long runs, and a database file that is
//! written beside the hub's commits is synced while it is written.
//!
//! SQLite writes each changed page to its log with two system calls, one for a header of 24 bytes and one for the page, so
//! that a commit of four pages takes eight. They all lie one behind the other. This layer keeps them until SQLite asks
//! for the sync that ends the commit, and writes them with one call before it (docs/decisions/003).
//!
//! **Why that is safe.** Nothing is kept longer than until the next thing that SQLite does with the log other than writing
//! on: a read, a sync, a truncation, a question about its size, a write elsewhere, the close. With `synchronous=FULL` SQLite
//! syncs the log before it tells anybody else of the commit (in the `-shm` file), so other connections, which read the
//! log through files of their own, never look for what is kept here. With `synchronous=NORMAL` there is no such sync, so
//! such connections are opened without this layer. A write that fails is told as the failure of the call that brought it
//! about, mostly the sync; SQLite then gives up the commit.
//!
//! **Paced files.** A backup of hundreds of megabytes that is synced at its end fills the disk's queue, and the hub's next
//! commit waits behind all of it (114 ms for 430 MB); so it does behind a checkpoint of 16 MiB (20 to 30 ms). Both are
//! written through a second layer, the same with one addition: it syncs the file after each mebibyte. The thread that copies
//! waits for the disk then, and a commit waits for a mebibyte at most.
//!
//! Everything else goes straight to SQLite's own layer for the system, `unix-excl`, whose record is copied: only
//! `xOpen`, the name and the size of a file are ours. That layer keeps other processes from the file, which the hub does
//! anyway (`lock`), and so needs no system call for each of SQLite's locks, six a commit. Source: <https://sqlite.org/vfs.html>, `sqlite3.h`.
//!
//! This is the one file with `unsafe` in the store: SQLite calls it through C function pointers.
#![allow(unsafe_code)]

#[cfg(test)]
pub(crate) mod failing;

use libsqlite3_sys as ffi;
use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;

/// The name by which a connection asks for this layer.
pub(crate) const NAME: &str = "kirosu";
const C_NAME: &CStr = c"kirosu";
/// The name by which a database file is opened whose writing the commits to other files must not wait for.
pub(crate) const PACED: &str = "kirosu-paced";
const C_PACED: &CStr = c"kirosu-paced";
/// The layer for connections that need nothing of this one: readers, and writers that do not sync.
pub(crate) const PLAIN: &str = "unix-excl";
const C_PLAIN: &CStr = c"unix-excl";

/// Kept at most, in bytes, before it is written all the same. SQLite's own layer writes at most 0x1ffff bytes a call and
/// takes a larger piece of certain lengths for a full disk (`seekAndWriteFd` in `os_unix.c`).
const KEPT_BYTES: usize = 120 << 10;
const _: () = assert!(KEPT_BYTES <= 0x1ffff);

/// Bytes of a paced file between two syncs.
const PACE_BYTES: usize = 1 << 20;

/// The log or a paced file as SQLite sees it. SQLite allocates it, zeroed, with room for a file of the layer below behind it.
#[repr(C)]
struct LogFile {
    head: ffi::sqlite3_file,
    kept: *mut Kept,
}

/// What is to be written, in one piece.
struct Kept {
    bytes: Vec<u8>,
    /// Where in the file the first byte belongs.
    offset: i64,
    /// Of a paced file: the bytes written since the last sync.
    unsynced: Option<usize>,
}

struct Layers {
    below: *mut ffi::sqlite3_vfs,
    result: c_int,
}

// SAFETY: `below` points to SQLite's own static record of the system's layer, which is never changed or freed.
unsafe impl Send for Layers {}
// SAFETY: as above; it is only read.
unsafe impl Sync for Layers {}

static LAYERS: OnceLock<Layers> = OnceLock::new();

/// For tests: syncs of paced files beyond those that SQLite asked for.
#[cfg(test)]
pub(crate) static PACED_SYNCS: std::sync::atomic::AtomicUsize =
    std::sync::atomic::AtomicUsize::new(0);

type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    ffi::sqlite3_filename,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;

/// Makes the layers known to SQLite, once per process.
///
/// # Errors
/// SQLite's result code, if it does not take it.
pub(crate) fn register() -> Result<(), c_int> {
    let layers = LAYERS.get_or_init(|| {
        // SAFETY: finding and registering are plain calls of SQLite's interface; the record and its name live for ever.
        unsafe {
            let below = ffi::sqlite3_vfs_find(C_PLAIN.as_ptr());
            if below.is_null() {
                return Layers {
                    below,
                    result: ffi::SQLITE_ERROR,
                };
            }
            let register = |name: &'static CStr, open: Open| {
                let ours = Box::leak(Box::new(*below));
                ours.zName = name.as_ptr();
                ours.pNext = std::ptr::null_mut();
                ours.szOsFile += size_of::<LogFile>() as c_int;
                ours.xOpen = Some(open);
                ffi::sqlite3_vfs_register(ours, 0)
            };
            let result = match register(C_NAME, open::<false>) {
                ffi::SQLITE_OK => register(C_PACED, open::<true>),
                failed => failed,
            };
            Layers { below, result }
        }
    });
    match layers.result {
        ffi::SQLITE_OK => Ok(()),
        code => Err(code),
    }
}

/// Opens a file: the log (of the layer for paced files: the database) with our methods, everything else as the layer below
/// does.
unsafe extern "C" fn open<const PACED: bool>(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let Some(below) = LAYERS.get().map(|layers| layers.below) else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: SQLite calls with a file of `szOsFile` bytes, which is ours and the lower layer's together, and with the
    // other arguments as the layer below expects them.
    unsafe {
        let Some(open_below) = (*below).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let ours = match PACED {
            true => ffi::SQLITE_OPEN_MAIN_DB,
            false => ffi::SQLITE_OPEN_WAL,
        };
        if flags & ours == 0 {
            return open_below(below, name, file, flags, out_flags);
        }
        let result = open_below(below, name, lower(file), flags, out_flags);
        let log = file.cast::<LogFile>();
        // Without methods SQLite does not call `xClose`, as it must not after a failed open.
        (*log).head.pMethods = std::ptr::null();
        if result == ffi::SQLITE_OK {
            let kept = Kept {
                bytes: Vec::with_capacity(KEPT_BYTES),
                offset: 0,
                unsynced: PACED.then_some(0),
            };
            (*log).kept = Box::into_raw(Box::new(kept));
            (*log).head.pMethods = &METHODS;
        }
        result
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Version 2: shared memory, which belongs to a database's file. No connection here maps its file (`mmap_size` is 0).
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The file of the layer below, behind ours.
///
/// # Safety
/// `file` must be one that `open` was called with.
unsafe fn lower(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: there is room behind it, see `szOsFile`; both structures are aligned as pointers are.
    unsafe { file.cast::<LogFile>().add(1).cast() }
}

/// Calls a method of the layer below on the file behind ours.
macro_rules! below {
    ($file:expr, $method:ident $(, $arg:expr)*) => {{
        let file = lower($file);
        match (*(*file).pMethods).$method {
            Some(method) => method(file $(, $arg)*),
            None => ffi::SQLITE_IOERR,
        }
    }};
}

/// Writes what is kept. Nothing is kept afterwards, whatever became of it: SQLite writes it anew or gives up.
///
/// # Safety
/// `file` must be an open one of ours.
unsafe fn flush(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see above; `kept` is set as long as the file is open, and SQLite uses a file from one thread at a time.
    unsafe {
        let kept = &mut *(*file.cast::<LogFile>()).kept;
        if kept.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        #[cfg(test)]
        if let Some(written) = failing::write(kept.bytes.len()) {
            let (bytes, length) = (kept.bytes.as_ptr(), written as c_int);
            below!(file, xWrite, bytes.cast(), length, kept.offset);
            kept.bytes.clear();
            return ffi::SQLITE_IOERR_WRITE;
        }
        let (bytes, length) = (kept.bytes.as_ptr(), kept.bytes.len() as c_int);
        let result = below!(file, xWrite, bytes.cast(), length, kept.offset);
        kept.bytes.clear();
        let Some(unsynced) = &mut kept.unsynced else {
            return result;
        };
        *unsynced += length as usize;
        if result != ffi::SQLITE_OK || *unsynced < PACE_BYTES {
            return result;
        }
        *unsynced = 0;
        #[cfg(test)]
        PACED_SYNCS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        below!(
            file,
            xSync,
            ffi::SQLITE_SYNC_NORMAL | ffi::SQLITE_SYNC_DATAONLY
        )
    }
}

/// Flushes, then calls the layer below.
macro_rules! after_flush {
    ($file:expr, $method:ident $(, $arg:expr)*) => {
        // SAFETY: SQLite calls the methods of a file with that file, while it is open, and with valid arguments.
        unsafe {
            match flush($file) {
                ffi::SQLITE_OK => below!($file, $method $(, $arg)*),
                failed => failed,
            }
        }
    };
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite calls with an open file of ours and `length` bytes at `bytes`.
    unsafe {
        let kept = &mut *(*file.cast::<LogFile>()).kept;
        let behind = kept.offset + kept.bytes.len() as i64;
        let goes_on = kept.bytes.is_empty() || offset == behind;
        if !goes_on || kept.bytes.len() + length as usize > KEPT_BYTES {
            let flushed = flush(file);
            if flushed != ffi::SQLITE_OK {
                return flushed;
            }
        }
        if length as usize > KEPT_BYTES {
            return below!(file, xWrite, bytes, length, offset);
        }
        let kept = &mut *(*file.cast::<LogFile>()).kept;
        if kept.bytes.is_empty() {
            kept.offset = offset;
        }
        let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), length as usize);
        kept.bytes.extend_from_slice(bytes);
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file once; `kept` came from a box.
    unsafe {
        let flushed = flush(file);
        drop(Box::from_raw((*file.cast::<LogFile>()).kept));
        (*file.cast::<LogFile>()).kept = std::ptr::null_mut();
        let closed = below!(file, xClose);
        if flushed == ffi::SQLITE_OK {
            closed
        } else {
            flushed
        }
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    after_flush!(file, xRead, into, length, offset)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    after_flush!(file, xTruncate, size)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    #[cfg(test)]
    {
        // SAFETY: as in `after_flush`.
        let flushed = unsafe { flush(file) };
        // What was kept is in the file: only the sync fails.
        if flushed == ffi::SQLITE_OK && failing::sync() {
            return ffi::SQLITE_IOERR_FSYNC;
        } else if flushed != ffi::SQLITE_OK {
            return flushed;
        }
    }
    after_flush!(file, xSync, flags)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    after_flush!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    after_flush!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    after_flush!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    after_flush!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    after_flush!(file, xFileControl, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `after_flush`. The answer is a size, so there is no way to tell of a failed flush: nothing is flushed.
    unsafe { below!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as above; the answer is a set of bits.
    unsafe { below!(file, xDeviceCharacteristics) }
}

// Shared memory says which pages others take from the file instead of the log: SQLite changes that after a sync, when nothing
// is kept.

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: as in `after_flush`.
    unsafe { below!(file, xShmMap, region, size, extend, out) }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: as above.
    unsafe { below!(file, xShmLock, offset, count, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as above.
    unsafe {
        let file = lower(file);
        if let Some(barrier) = (*(*file).pMethods).xShmBarrier {
            barrier(file);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { below!(file, xShmUnmap, delete) }
}
