#include "api/payments/payment.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define ID_LETTERS 24

/* ---- events ---- */

/* What a refund leaves; before a capture it is the authorization that shrinks. */
static void give_back(struct payment *payment, int64_t amount)
{
    int64_t *left =
        payment->state == PAYMENT_AUTHORIZED ? &payment->authorized_amount : &payment->captured_amount;
    TR_CHECK(amount > 0 && amount <= *left); /* I2 */
    *left -= amount;
    payment->refunded_amount += amount;
}

static void apply_amounts(struct payment *payment, const struct payment_event *event)
{
    switch (event->type) {
    case EVENT_PAYMENT_AUTHORIZED_EVENT:
        payment->authorized_amount = payment->amount;
        break;
    case EVENT_PAYMENT_CAPTURED_EVENT:
        payment->captured_amount = payment->authorized_amount;
        break;
    case EVENT_PAYMENT_REFUNDED_EVENT:
        give_back(payment, event->amount);
        break;
    default:
        break;
    }
}

static void apply_operation(struct payment *payment, const struct payment_event *event)
{
    switch (event->type) {
    case EVENT_OPERATION_STARTED:
        payment->operation = (struct payment_operation){.kind = event->kind,
                                                        .status = OPERATION_IN_FLIGHT,
                                                        .amount = event->amount,
                                                        .since_ms = event->at_ms};
        memcpy(payment->operation.id, event->operation, sizeof(event->operation));
        break;
    case EVENT_OPERATION_UNKNOWN:
        payment->operation.status = OPERATION_STATUS_UNKNOWN;
        break;
    case EVENT_PAYMENT_CREATED:
        break;
    default:
        payment->operation = (struct payment_operation){.kind = OPERATION_NONE};
        break;
    }
}

void payment_apply(struct payment *payment, const struct payment_event *event, enum payment_state to)
{
    TR_CHECK(event->seq == payment->version + 1);                                        /* I4 */
    TR_CHECK(payment->state != PAYMENT_REFUNDED && payment->state != PAYMENT_CANCELLED); /* I9 */
    apply_amounts(payment, event);
    apply_operation(payment, event);
    payment->state = to;
    payment->version = event->seq;
    payment->updated_at_ms = event->at_ms;
    if (event->type == EVENT_PAYMENT_CREATED) {
        payment->created_at_ms = event->at_ms;
    }
}

int64_t payment_refundable(const struct payment *payment)
{
    switch (payment->state) {
    case PAYMENT_AUTHORIZED:
        return payment->authorized_amount;
    case PAYMENT_CAPTURED:
    case PAYMENT_PARTIALLY_REFUNDED:
        return payment->captured_amount;
    default:
        return 0;
    }
}

/* ---- names ---- */

bool payment_is_terminal(enum payment_state state)
{
    return state != PAYMENT_PENDING && state != PAYMENT_AUTHORIZED;
}

#define PAYMENT_TEXT(name, text) text,
static const char *const state_texts[] = {PAYMENT_STATES(PAYMENT_TEXT)};
static const char *const event_texts[] = {PAYMENT_EVENTS(PAYMENT_TEXT)};
#undef PAYMENT_TEXT

const char *payment_state_text(enum payment_state state)
{
    return state_texts[state];
}

bool payment_state_of(struct text name, enum payment_state *state)
{
    for (int i = 0; i < PAYMENT_STATES_COUNT; i++) {
        if (text_equal(name, text_of(state_texts[i]))) {
            *state = (enum payment_state)i;
            return true;
        }
    }
    return false;
}

const char *payment_event_text(enum payment_event_type type)
{
    return event_texts[type];
}

/* ---- ids ---- */

static const char letters[62] = {"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"};

static void id_make(char *out, const char *prefix)
{
    size_t at = strlen(prefix);
    size_t end = at + ID_LETTERS;
    uint8_t random[64];
    memcpy(out, prefix, at);
    while (at < end) {
        TR_CHECK(getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random));
        for (size_t i = 0; i < sizeof(random) && at < end; i++) {
            if (random[i] < 4 * sizeof(letters)) { /* no letter is likelier than another */
                out[at++] = letters[random[i] % sizeof(letters)];
            }
        }
    }
    out[at] = 0;
}

void payment_id_make(char out[PAYMENT_ID_BYTES])
{
    id_make(out, "pay_");
}

void operation_id_make(char out[OPERATION_ID_BYTES])
{
    id_make(out, "op_");
}

bool payment_id_fits(struct text id)
{
    if (id.count != 4 + ID_LETTERS || memcmp(id.bytes, "pay_", 4) != 0) {
        return false;
    }
    for (size_t i = 4; i < id.count; i++) {
        if (memchr(letters, id.bytes[i], sizeof(letters)) == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- currencies ---- */

/* ISO 4217, the active codes that people pay in; sorted, four bytes each with the blank. */
static const char currencies[] =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD "
    "HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD "
    "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN "
    "PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY "
    "TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL ";

bool currency_is_known(struct text code)
{
    if (code.count != 3) {
        return false;
    }
    for (size_t at = 0; at + 4 < sizeof(currencies); at += 4) {
        if (memcmp(currencies + at, code.bytes, 3) == 0) {
            return true;
        }
    }
    return false;
}
