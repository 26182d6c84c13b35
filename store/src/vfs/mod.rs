//! A thin layer between SQLite and the file system. It writes the write-ahead log in long runs, and syncs a database
//! file in pieces while backups and checkpoints write it.
//!
//! SQLite writes each changed page to its log with two system calls, one for a header of 24 bytes and one for the page:
//! a commit of four pages takes eight. Their ranges are consecutive. This layer buffers them until SQLite asks for the
//! sync that ends the commit, and writes them with one call before it (docs/decisions/003).
//!
//! **Why that is safe.** Bytes are buffered no longer than until the next operation on the log other than a consecutive
//! write: a read, a sync, a truncation, a query of its size, a write elsewhere, the close. With `synchronous=FULL`
//! SQLite syncs the log before it announces the commit to other connections (in the `-shm` file), so these, which read
//! the log through files of their own, never need what is buffered here. With `synchronous=NORMAL` there is no such
//! sync, so such connections are opened without this layer. A failed write is reported as the failure of the call that
//! caused it, mostly the sync; SQLite then gives up the commit.
//!
//! **Paced files.** A backup of hundreds of megabytes that is synced at its end fills the disk's queue, and the hub's
//! next commit waits behind all of it (114 ms for 430 MB); the same holds for a checkpoint of 16 MiB (20 to 30 ms).
//! Both are written through a second layer, which also syncs the file after each mebibyte. The copying thread waits for
//! the disk then, and a commit waits for at most one mebibyte.
//!
//! All other operations go to SQLite's own layer for the system, `unix-excl`, whose record is copied: only `xOpen`, the
//! name and the size of a file differ. That layer locks other processes out of the file, which the hub does anyway
//! (`lock`), and so needs no system call for each of SQLite's locks, six per commit. Source:
//! <https://sqlite.org/vfs.html>, `sqlite3.h`.
//!
//! This is the only file of the store with `unsafe`: SQLite calls it through C function pointers.
#![allow(unsafe_code)]

#[cfg(test)]
pub(crate) mod failing;

use libsqlite3_sys as ffi;
use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;

/// The name of this layer for connections.
pub(crate) const NAME: &str = "kirosu";
const C_NAME: &CStr = c"kirosu";
/// The name of the layer for paced files.
pub(crate) const PACED: &str = "kirosu-paced";
const C_PACED: &CStr = c"kirosu-paced";
/// The name of the layer for readers and for writers that do not sync, which need neither.
pub(crate) const PLAIN: &str = "unix-excl";
const C_PLAIN: &CStr = c"unix-excl";

/// Bytes that are buffered at most. SQLite's own layer writes at most 0x1ffff bytes per call and mistakes a longer
/// write of certain lengths for a full disk (`seekAndWriteFd` in `os_unix.c`).
const BUFFER_BYTES: usize = 120 << 10;
const _: () = assert!(BUFFER_BYTES <= 0x1ffff);

/// Bytes of a paced file between two syncs.
const PACE_BYTES: usize = 1 << 20;

/// The log or a paced file, as SQLite sees it. SQLite allocates it, zeroed, with space for a file of the lower layer
/// behind it.
#[repr(C)]
struct BufferedFile {
    head: ffi::sqlite3_file,
    buffer: *mut WriteBuffer,
}

/// Consecutive bytes that are not written yet.
struct WriteBuffer {
    bytes: Vec<u8>,
    /// The offset of the first byte in the file.
    offset: i64,
    /// For a paced file: bytes written since the last sync.
    unsynced: Option<usize>,
}

struct VfsLayers {
    below: *mut ffi::sqlite3_vfs,
    result: c_int,
}

// SAFETY: `below` points to SQLite's own static record of the system's layer, which is never changed or freed.
unsafe impl Send for VfsLayers {}
// SAFETY: as above; it is only read.
unsafe impl Sync for VfsLayers {}

static LAYERS: OnceLock<VfsLayers> = OnceLock::new();

thread_local! {
    static LOG_BYTES_WRITTEN: Cell<u64> = const { Cell::new(0) };
}

/// Bytes that this thread has written to logs through this layer. It only grows.
pub(crate) fn log_bytes_written() -> u64 {
    LOG_BYTES_WRITTEN.get()
}

/// Syncs of paced files that SQLite did not request, counted for tests.
#[cfg(test)]
pub(crate) static PACED_SYNCS: std::sync::atomic::AtomicUsize =
    std::sync::atomic::AtomicUsize::new(0);

type OpenFn = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    ffi::sqlite3_filename,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;

/// Registers the layers with SQLite, once per process.
///
/// # Errors
/// SQLite's result code, if it refuses.
pub(crate) fn register() -> Result<(), c_int> {
    let layers = LAYERS.get_or_init(|| {
        // SAFETY: finding and registering are plain calls of SQLite's interface; the record and its name are never
        // freed.
        unsafe {
            let below = ffi::sqlite3_vfs_find(C_PLAIN.as_ptr());
            if below.is_null() {
                return VfsLayers {
                    below,
                    result: ffi::SQLITE_ERROR,
                };
            }
            let register = |name: &'static CStr, open: OpenFn| {
                let ours = Box::leak(Box::new(*below));
                ours.zName = name.as_ptr();
                ours.pNext = std::ptr::null_mut();
                ours.szOsFile += size_of::<BufferedFile>() as c_int;
                ours.xOpen = Some(open);
                ffi::sqlite3_vfs_register(ours, 0)
            };
            let result = match register(C_NAME, open::<false>) {
                ffi::SQLITE_OK => register(C_PACED, open::<true>),
                failed => failed,
            };
            VfsLayers { below, result }
        }
    });
    match layers.result {
        ffi::SQLITE_OK => Ok(()),
        code => Err(code),
    }
}

/// Opens a file. The log (in the layer for paced files: the database) gets our methods; every other file is opened by
/// the lower layer alone.
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
    // SAFETY: SQLite calls with a file of `szOsFile` bytes, which has space for ours and the lower layer's, and with the
    // other arguments as the lower layer expects them.
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
        let log = file.cast::<BufferedFile>();
        // Without methods SQLite does not call `xClose`, which it must not do after a failed open.
        (*log).head.pMethods = std::ptr::null();
        if result == ffi::SQLITE_OK {
            let buffer = WriteBuffer {
                bytes: Vec::with_capacity(BUFFER_BYTES),
                offset: 0,
                unsynced: PACED.then_some(0),
            };
            (*log).buffer = Box::into_raw(Box::new(buffer));
            (*log).head.pMethods = &METHODS;
        }
        result
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Version 2 has shared memory, which a database file needs. No connection maps its file (`mmap_size` is 0).
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

/// The lower layer's file, behind ours.
///
/// # Safety
/// `file` must be one that `open` was called with.
unsafe fn lower(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: there is space behind it, see `szOsFile`; both structures are aligned as pointers are.
    unsafe { file.cast::<BufferedFile>().add(1).cast() }
}

/// Calls a method of the lower layer on the file behind ours.
macro_rules! below {
    ($file:expr, $method:ident $(, $arg:expr)*) => {{
        let file = lower($file);
        match (*(*file).pMethods).$method {
            Some(method) => method(file $(, $arg)*),
            None => ffi::SQLITE_IOERR,
        }
    }};
}

/// Writes the buffer. It is empty afterwards, also after a failure: SQLite writes the bytes again or gives up.
///
/// # Safety
/// `file` must be an open one of ours.
unsafe fn flush(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see above; `buffer` is set while the file is open, and SQLite uses a file from one thread at a time.
    unsafe {
        let buffer = &mut *(*file.cast::<BufferedFile>()).buffer;
        if buffer.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        #[cfg(test)]
        if let Some(written) = failing::write(buffer.bytes.len()) {
            let (bytes, length) = (buffer.bytes.as_ptr(), written as c_int);
            below!(file, xWrite, bytes.cast(), length, buffer.offset);
            buffer.bytes.clear();
            return ffi::SQLITE_IOERR_WRITE;
        }
        let (bytes, length) = (buffer.bytes.as_ptr(), buffer.bytes.len() as c_int);
        let result = below!(file, xWrite, bytes.cast(), length, buffer.offset);
        buffer.bytes.clear();
        let Some(unsynced) = &mut buffer.unsynced else {
            LOG_BYTES_WRITTEN.set(LOG_BYTES_WRITTEN.get() + length as u64);
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

/// Writes the buffer, then calls the lower layer.
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
        let buffer = &mut *(*file.cast::<BufferedFile>()).buffer;
        let behind = buffer.offset + buffer.bytes.len() as i64;
        let goes_on = buffer.bytes.is_empty() || offset == behind;
        if !goes_on || buffer.bytes.len() + length as usize > BUFFER_BYTES {
            let flushed = flush(file);
            if flushed != ffi::SQLITE_OK {
                return flushed;
            }
        }
        if length as usize > BUFFER_BYTES {
            return below!(file, xWrite, bytes, length, offset);
        }
        let buffer = &mut *(*file.cast::<BufferedFile>()).buffer;
        if buffer.bytes.is_empty() {
            buffer.offset = offset;
        }
        let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), length as usize);
        buffer.bytes.extend_from_slice(bytes);
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file once; `buffer` came from a box.
    unsafe {
        let flushed = flush(file);
        drop(Box::from_raw((*file.cast::<BufferedFile>()).buffer));
        (*file.cast::<BufferedFile>()).buffer = std::ptr::null_mut();
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
        // The buffer is in the file: only the sync fails.
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
    // SAFETY: as in `after_flush`. The answer is a size and cannot report a failed write, so the buffer stays.
    unsafe { below!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as above; the answer is a set of bits.
    unsafe { below!(file, xDeviceCharacteristics) }
}

// Shared memory shows other connections which pages to read from the file instead of the log. SQLite changes that after
// a sync, when the buffer is empty.

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
