/* What JSON costs most of an invocation, in C: engine/core/fast_json.py is where it is used from, if it was built.
 *
 * `write(value, max_bytes)` returns what `json.dumps(value, ensure_ascii=False)` writes, in UTF-8 and in one pass; or
 * None for all that it leaves to the writers in Python: types other than exactly dict, list, tuple, str, int, float,
 * bool and None, keys that are not text, integers beyond 64 bits, lone surrogates, deep nesting, and text longer than
 * `max_bytes`. See engine/executors/marshal.py.
 *
 * `has_short_numbers(payload)` is that of engine/core/json_document.py.
 *
 * No Python code runs meanwhile, and the GIL is kept: nothing can change what is walked through, so that borrowed
 * references are enough. There is no state.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

#define MAX_DEPTH 200 /* fewer levels than the writers in Python take: what contains itself is theirs to refuse */
#define SMALL 1024    /* bytes of text that need no memory of their own */

typedef enum {
    WRITTEN,
    LEFT,  /* to the writers in Python */
    FAILED /* an exception is set */
} Status;

typedef struct {
    char *text; /* `small`, or memory of its own */
    Py_ssize_t length, capacity, max_bytes;
    char small[SMALL];
} Writer;

/* ------------------------------------------------------------------ text */

static Status
grow(Writer *writer, Py_ssize_t more)
{
    if (more > writer->max_bytes - writer->length) {
        return LEFT;
    }
    Py_ssize_t needed = writer->length + more;
    Py_ssize_t capacity = needed < writer->max_bytes / 2 ? 2 * needed : writer->max_bytes;
    int is_small = writer->text == writer->small;
    char *text = PyMem_Realloc(is_small ? NULL : writer->text, capacity);
    if (text == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    if (is_small) {
        memcpy(text, writer->small, writer->length);
    }
    writer->text = text;
    writer->capacity = capacity;
    return WRITTEN;
}

static inline Status
put(Writer *writer, const char *text, Py_ssize_t length)
{
    if (length > writer->capacity - writer->length) {
        Status status = grow(writer, length);
        if (status != WRITTEN) {
            return status;
        }
    }
    memcpy(writer->text + writer->length, text, length);
    writer->length += length;
    return WRITTEN;
}

#define PUT(writer, literal) put(writer, literal, sizeof(literal) - 1)

/* Writes `what`, or returns why it could not be written. */
#define TRY(what)                  \
    do {                           \
        Status status_ = (what);   \
        if (status_ != WRITTEN) {  \
            return status_;        \
        }                          \
    } while (0)

/* ------------------------------------------------------------------ strings */

static inline int
must_escape(Py_UCS4 character)
{
    return character < 0x20 || character == '"' || character == '\\';
}

/* Whether any of eight bytes, all below 0x80, must be escaped. */
static inline int
any_must_escape(const unsigned char *bytes)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t control = word - 0x20 * each; /* the top bit of a byte is set by what is less than zero */
    uint64_t quote = (word ^ '"' * each) - each;
    uint64_t backslash = (word ^ '\\' * each) - each;
    return ((control | quote | backslash) & 0x80 * each) != 0;
}

static Status
put_escaped(Writer *writer, Py_UCS4 character)
{
    static const char digits[] = "0123456789abcdef";
    switch (character) {
    case '"': return PUT(writer, "\\\"");
    case '\\': return PUT(writer, "\\\\");
    case '\b': return PUT(writer, "\\b");
    case '\f': return PUT(writer, "\\f");
    case '\n': return PUT(writer, "\\n");
    case '\r': return PUT(writer, "\\r");
    case '\t': return PUT(writer, "\\t");
    default: {
        char escape[6] = {'\\', 'u', '0', '0', digits[character >> 4], digits[character & 0xf]};
        return put(writer, escape, sizeof escape);
    }
    }
}

static Status
put_ascii(Writer *writer, const unsigned char *text, Py_ssize_t length)
{
    Py_ssize_t begin = 0, at = 0;
    for (;;) {
        while (length - at >= 8 && !any_must_escape(text + at)) {
            at += 8;
        }
        while (at < length && !must_escape(text[at])) {
            at++;
        }
        TRY(put(writer, (const char *)text + begin, at - begin));
        if (at == length) {
            return WRITTEN;
        }
        TRY(put_escaped(writer, text[at]));
        begin = ++at;
    }
}

static Status
put_utf8(Writer *writer, Py_UCS4 character)
{
    char bytes[4];
    Py_ssize_t length = 0;
    if (character < 0x80) {
        bytes[length++] = (char)character;
    }
    else if (character < 0x800) {
        bytes[length++] = (char)(0xc0 | character >> 6);
        bytes[length++] = (char)(0x80 | (character & 0x3f));
    }
    else if (character < 0x10000) {
        if (Py_UNICODE_IS_SURROGATE(character)) {
            return LEFT;
        }
        bytes[length++] = (char)(0xe0 | character >> 12);
        bytes[length++] = (char)(0x80 | (character >> 6 & 0x3f));
        bytes[length++] = (char)(0x80 | (character & 0x3f));
    }
    else {
        bytes[length++] = (char)(0xf0 | character >> 18);
        bytes[length++] = (char)(0x80 | (character >> 12 & 0x3f));
        bytes[length++] = (char)(0x80 | (character >> 6 & 0x3f));
        bytes[length++] = (char)(0x80 | (character & 0x3f));
    }
    return put(writer, bytes, length);
}

static Status
write_string(Writer *writer, PyObject *string)
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(string) < 0) {
        return FAILED;
    }
#endif
    Py_ssize_t length = PyUnicode_GET_LENGTH(string);
    const void *data = PyUnicode_DATA(string);
    TRY(PUT(writer, "\""));
    if (PyUnicode_IS_ASCII(string)) {
        TRY(put_ascii(writer, data, length));
    }
    else {
        int kind = PyUnicode_KIND(string);
        for (Py_ssize_t at = 0; at < length; at++) {
            Py_UCS4 character = PyUnicode_READ(kind, data, at);
            TRY(must_escape(character) ? put_escaped(writer, character) : put_utf8(writer, character));
        }
    }
    return PUT(writer, "\"");
}

/* ------------------------------------------------------------------ numbers */

static Status
write_integer(Writer *writer, PyObject *integer)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(integer, &overflow);
    if (overflow) {
        return LEFT;
    }
    char digits[20]; /* as many as the longest has, with its sign */
    int begin = sizeof digits;
    unsigned long long rest = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;
    do {
        digits[--begin] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0) {
        digits[--begin] = '-';
    }
    return put(writer, digits + begin, sizeof digits - begin);
}

static Status
write_float(Writer *writer, double value)
{
    if (isnan(value)) {
        return PUT(writer, "NaN");
    }
    if (isinf(value)) {
        return value < 0 ? PUT(writer, "-Infinity") : PUT(writer, "Infinity");
    }
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL); /* as `float.__repr__` */
    if (text == NULL) {
        return FAILED;
    }
    Status status = put(writer, text, strlen(text));
    PyMem_Free(text);
    return status;
}

/* ------------------------------------------------------------------ containers */

static Status write_value(Writer *writer, PyObject *value, int depth);

static Status
write_sequence(Writer *writer, PyObject *sequence, int depth)
{
    TRY(PUT(writer, "["));
    for (Py_ssize_t at = 0; at < PySequence_Fast_GET_SIZE(sequence); at++) {
        if (at) {
            TRY(PUT(writer, ", "));
        }
        TRY(write_value(writer, PySequence_Fast_GET_ITEM(sequence, at), depth));
    }
    return PUT(writer, "]");
}

static Status
write_dict(Writer *writer, PyObject *dict, int depth)
{
    Py_ssize_t position = 0;
    PyObject *key, *value;
    int is_first = 1;
    TRY(PUT(writer, "{"));
    while (PyDict_Next(dict, &position, &key, &value)) {
        if (!PyUnicode_CheckExact(key)) {
            return LEFT;
        }
        if (!is_first) {
            TRY(PUT(writer, ", "));
        }
        is_first = 0;
        TRY(write_string(writer, key));
        TRY(PUT(writer, ": "));
        TRY(write_value(writer, value, depth));
    }
    return PUT(writer, "}");
}

static Status
write_value(Writer *writer, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value)) {
        return write_string(writer, value);
    }
    if (PyLong_CheckExact(value)) {
        return write_integer(writer, value);
    }
    if (value == Py_None) {
        return PUT(writer, "null");
    }
    if (value == Py_True) {
        return PUT(writer, "true");
    }
    if (value == Py_False) {
        return PUT(writer, "false");
    }
    if (PyFloat_CheckExact(value)) {
        return write_float(writer, PyFloat_AS_DOUBLE(value));
    }
    if (depth == MAX_DEPTH) {
        return LEFT;
    }
    if (PyDict_CheckExact(value)) {
        return write_dict(writer, value, depth + 1);
    }
    if (PyList_CheckExact(value) || PyTuple_CheckExact(value)) {
        return write_sequence(writer, value, depth + 1);
    }
    return LEFT;
}

/* ------------------------------------------------------------------ digits */

#define INT64_DIGITS 19

static inline int
is_digit(char character)
{
    return '0' <= character && character <= '9';
}

static PyObject *
has_short_numbers(PyObject *module, PyObject *payload)
{
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(payload, &text, &length) < 0) {
        return NULL;
    }
    /* So many digits in a row cover one of every so many bytes: only from there the rest is looked at. */
    for (Py_ssize_t at = INT64_DIGITS - 1; at < length; at += INT64_DIGITS) {
        if (!is_digit(text[at])) {
            continue;
        }
        Py_ssize_t begin = at, end = at + 1;
        while (begin > 0 && is_digit(text[begin - 1])) {
            begin--;
        }
        while (end < length && is_digit(text[end])) {
            end++;
        }
        if (end - begin >= INT64_DIGITS) {
            Py_RETURN_FALSE;
        }
    }
    Py_RETURN_TRUE;
}

/* ------------------------------------------------------------------ module */

static PyObject *
write_json(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2) {
        return PyErr_Format(PyExc_TypeError, "write() takes 2 arguments, %zd were given", count);
    }
    Py_ssize_t max_bytes = PyNumber_AsSsize_t(arguments[1], PyExc_OverflowError);
    if (max_bytes == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Writer writer;
    writer.text = writer.small;
    writer.length = 0;
    writer.capacity = max_bytes < SMALL ? max_bytes : SMALL;
    writer.max_bytes = max_bytes;
    Status status = write_value(&writer, arguments[0], 0);
    PyObject *result = NULL;
    if (status == WRITTEN) {
        result = PyBytes_FromStringAndSize(writer.text, writer.length);
    }
    else if (status == LEFT) {
        result = Py_NewRef(Py_None);
    }
    if (writer.text != writer.small) {
        PyMem_Free(writer.text);
    }
    return result;
}

static PyMethodDef methods[] = {
    {"write", (PyCFunction)(void (*)(void))write_json, METH_FASTCALL,
     "write(value, max_bytes, /)\n--\n\nThe JSON text of `value`, or None if it is not for this writer."},
    {"has_short_numbers", has_short_numbers, METH_O,
     "has_short_numbers(payload, /)\n--\n\nWhether there are never as many digits in a row as 64 bits have."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "engine.core._fast_json",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__fast_json(void)
{
    return PyModuleDef_Init(&module);
}
