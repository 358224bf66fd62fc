/* What help and the manual page say beside the settings: commands, examples, signals, exit statuses. Inside of the settings only.
 *
 * 1. Each list ends with a term that is NULL.
 * 2. Texts mark names with backticks; help leaves the marks out, the manual prints them bold.
 *
 * Life cycle: constants.
 */
#ifndef TROUPE_SERVER_SETTINGS_DOC_H
#define TROUPE_SERVER_SETTINGS_DOC_H

#include "server/settings_table.h"

#include <stdio.h>

struct settings_note {
    const char *term;
    const char *text;
};

extern const char *const settings_about[]; /* paragraphs */
extern const char *const settings_layers[];
extern const struct settings_note settings_commands[];
extern const struct settings_note settings_examples[]; /* term: the command */
extern const struct settings_note settings_variables[];
extern const struct settings_note settings_files[];
extern const struct settings_note settings_signals[];
extern const struct settings_note settings_exits[];

typedef void (*settings_print_fn)(FILE *out, const struct settings_row *row);

/** Prints each group's title between two texts, and its rows under it. */
void settings_print_groups(FILE *out, const char *before, const char *after, settings_print_fn print);

/** How the value is called in help, with a blank before it: " MS", " FILE", or nothing for a boolean. */
void settings_value_name(const struct settings_row *row, char *name, size_t bytes);

/** "integer", "duration", "list of paths" and so on. */
const char *settings_type_name(const struct settings_row *row);

/** What a setting without effect says of itself; empty for the others. */
const char *settings_reserved_text(const struct settings_row *row);

#endif
