//! Opening SQLite files, and their errors in our words.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::Error;

/// Turns an error of SQLite into ours.
pub(super) fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> Error + '_ {
    move |error| {
        let text = format!("{}: {error}", path.display());
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Damaged {
                file: path.display().to_string(),
                offset: 0,
                what: format!("SQLite says: {error}"),
            },
            Some(_) | None => Error::Io(text),
        }
    }
}

/// Opens a file, and makes it by `schema` if it is new. `version` is that of the schema.
pub(super) fn open(path: &Path, version: i64, schema: &str) -> Result<Connection, Error> {
    open_since(path, version, version, schema).map(|(connection, _)| connection)
}

/// The same of a file that may also be of an earlier version, from `oldest` on: says which.
pub(super) fn open_since(
    path: &Path,
    oldest: i64,
    version: i64,
    schema: &str,
) -> Result<(Connection, i64), Error> {
    let open = || -> Result<(Connection, i64), rusqlite::Error> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.execute_batch(
            "PRAGMA page_size = 8192;
             PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -8192;",
        )?;
        connection.set_prepared_statement_cache_capacity(32);
        let found = version_of(&connection)?;
        if found != 0 {
            return Ok((connection, found));
        }
        let made = connection.transaction()?;
        made.execute_batch(schema)?;
        made.pragma_update(None, "user_version", version)?;
        made.commit()?;
        Ok((connection, version))
    };
    let (connection, found) = open().map_err(failed(path))?;
    if !(oldest..=version).contains(&found) {
        return Err(Error::Damaged {
            file: path.display().to_string(),
            offset: 0,
            what: format!("its format version is {found}; this program knows {version}"),
        });
    }
    Ok((connection, found))
}

/// Version of a file's schema; 0 if it has none yet.
pub(super) fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// What SQLite itself finds wrong with a file, in its words; `None` if nothing.
pub(crate) fn check(path: &Path) -> Option<String> {
    let check = || -> Result<String, rusqlite::Error> {
        Connection::open(path)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(said) if said == "ok" => None,
        Ok(said) => Some(said),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sqlite_is_one_without_the_wal_reset_loss() {
        assert!(rusqlite::version_number() >= 3_051_003, "SQLite {}", rusqlite::version());
    }
}
