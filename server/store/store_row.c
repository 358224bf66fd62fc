#include "server/store/store_conn.h"

int store_row_columns(const struct store_row *row)
{
    return sqlite3_data_count(row->stmt);
}

enum store_kind store_row_kind(const struct store_row *row, int column)
{
    switch (sqlite3_column_type(row->stmt, column)) {
    case SQLITE_INTEGER:
        return STORE_KIND_INT;
    case SQLITE_FLOAT:
        return STORE_KIND_REAL;
    case SQLITE_TEXT:
        return STORE_KIND_TEXT;
    case SQLITE_BLOB:
        return STORE_KIND_BLOB;
    default:
        return STORE_KIND_NULL;
    }
}

int64_t store_row_int(const struct store_row *row, int column)
{
    return sqlite3_column_int64(row->stmt, column);
}

double store_row_real(const struct store_row *row, int column)
{
    return sqlite3_column_double(row->stmt, column);
}

const char *store_row_text(const struct store_row *row, int column, size_t *length)
{
    const char *text = (const char *)sqlite3_column_text(row->stmt, column);
    if (length != NULL) {
        *length = (size_t)sqlite3_column_bytes(row->stmt, column);
    }
    return text;
}

const void *store_row_blob(const struct store_row *row, int column, size_t *length)
{
    const void *data = sqlite3_column_blob(row->stmt, column);
    if (length != NULL) {
        *length = (size_t)sqlite3_column_bytes(row->stmt, column);
    }
    return data;
}
