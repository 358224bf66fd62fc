/* The manual page, made from the table and the texts of help. Renders with groff -man without a warning. */
#include "server/settings_doc.h"
#include "server/version.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* What roff would take for an escape or print as another sign. A long list without blanks may be broken behind a comma. */
static const char *const escapes[128] = {
    ['\\'] = "\\e", ['-'] = "\\-", ['^'] = "\\(ha", ['~'] = "\\(ti", ['\''] = "\\(aq", [','] = ",\\:",
};

/* Text for roff, what stands between backticks bold. A dot in front would begin a request. */
static void man_text(FILE *out, const char *text)
{
    bool bold = false;
    fputs(text[0] == '.' ? "\\&" : "", out);
    for (const char *at = text; *at != '\0'; at++) {
        const char *escape = escapes[*at & 0x7f];
        if (*at == '`') {
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", out);
        } else if (escape != NULL) {
            fputs(escape, out);
        } else {
            fputc(*at, out);
        }
    }
}

static void man_paragraphs(FILE *out, const char *const texts[])
{
    for (size_t i = 0; texts[i] != NULL; i++) {
        fputs(i > 0 ? ".PP\n" : "", out);
        man_text(out, texts[i]);
        fputc('\n', out);
    }
}

/* A tagged paragraph a note. */
static void man_notes(FILE *out, const char *title, const struct settings_note notes[])
{
    fprintf(out, ".SH %s\n", title);
    for (size_t i = 0; notes[i].term != NULL; i++) {
        fputs(".TP\n\\fB", out);
        man_text(out, notes[i].term);
        fputs("\\fR\n", out);
        man_text(out, notes[i].text);
        fputc('\n', out);
    }
}

static void man_examples(FILE *out)
{
    fputs(".SH EXAMPLES\n", out);
    for (size_t i = 0; settings_examples[i].term != NULL; i++) {
        const char *text = settings_examples[i].text;
        fprintf(out, "%s%c", i > 0 ? ".PP\n" : "", toupper((unsigned char)text[0]));
        man_text(out, text + 1);
        fputs(":\n.PP\n.in +4n\n.EX\n", out);
        man_text(out, settings_examples[i].term);
        fputs("\n.EE\n.in\n", out);
    }
}

static void man_row(FILE *out, const struct settings_row *row)
{
    char flag[SETTINGS_NAME_MAX];
    char variable[SETTINGS_NAME_MAX];
    char value[64];
    char allowed[200];
    settings_spell(row, SETTINGS_AS_FLAG, flag);
    settings_spell(row, SETTINGS_AS_VARIABLE, variable);
    settings_value_name(row, value, sizeof value);
    settings_allowed(row, allowed, sizeof allowed);
    fputs(".TP\n\\fB", out);
    man_text(out, flag);
    fputs("\\fR\\fI", out);
    man_text(out, value);
    fprintf(out, "\\fR\n%c", toupper((unsigned char)row->text[0]));
    man_text(out, row->text + 1);
    man_text(out, settings_is_list(row) ? "; may be repeated" : "");
    man_text(out, settings_reserved_text(row));
    fputs(".\n", out);
    if (row->more != NULL) {
        man_text(out, row->more);
        fputc('\n', out);
    }
    fputs(".br\n\\fI", out);
    man_text(out, settings_type_name(row));
    fputs("\\fR: ", out);
    man_text(out, allowed);
    fputs("; default ", out);
    man_text(out, row->fallback != NULL ? row->fallback : "none");
    fputs("; environment ", out);
    man_text(out, variable);
    fputs(row->not_in_file ? "; not in the file.\n" : ".\n", out);
}

char *settings_man(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) {
        return NULL;
    }
    fprintf(out,
            ".\\\" Made by trouped --help-man; do not edit.\n"
            ".TH TROUPED 1 \"\" \"trouped %s\" \"User Commands\"\n"
            ".nh\n.ad l\n"
            ".SH NAME\ntrouped \\- rate limits over HTTP, decided by supervised processes\n"
            ".SH SYNOPSIS\n.B trouped\n[\\fISETTING\\fR]...\n"
            ".SH DESCRIPTION\n",
            version_number());
    man_paragraphs(out, settings_about);
    man_notes(out, "COMMANDS", settings_commands);
    fputs(".SH SETTINGS\n", out);
    man_paragraphs(out, settings_layers);
    settings_print_groups(out, ".SS \"", "\"\n", man_row);
    man_notes(out, "ENVIRONMENT", settings_variables);
    man_notes(out, "FILES", settings_files);
    man_notes(out, "SIGNALS", settings_signals);
    man_notes(out, "EXIT STATUS", settings_exits);
    man_examples(out);
    fputs(".SH SEE ALSO\n.BR curl (1),\n.BR nginx (8)\n.PP\n"
          "The service describes its API itself, at / and /openapi.yaml.\n",
          out);
    return fclose(out) == 0 ? text : NULL;
}
