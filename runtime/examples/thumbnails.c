/* thumbnails.c: a function over many inputs, four at a time, results in order. One that takes too long costs itself only. */
#include <stdio.h>
#include <troupe/troupe.h>

enum { IMAGES = 12, BROKEN = 5 };
TR_MESSAGE(image, { int number; });
TR_MESSAGE(thumbnail, { int bytes; });

/* Runs in a process of its own, and may block. */
static tr_msg *shrink(const image *in)
{
    tr_sleep(in->number == BROKEN ? 60000 : 5);
    return TR_MSG(thumbnail, .bytes = 100 + in->number);
}

/* The next input; asked for only when there is room for one more task. */
static tr_msg *next_image(void *ctx)
{
    int *number = ctx;
    return *number < IMAGES ? TR_MSG(image, .number = (*number)++) : NULL;
}

static void run(const void *arg)
{
    (void)arg;
    int number = 0, done = 0;
    tr_task_stream *stream;
    tr_task_result result;
    tr_task_stream_opts opts = {
        .max_concurrency = 4, .timeout_ms = 200, .on_timeout = TR_ON_TIMEOUT_KILL_TASK};
    TR_CHECK(tr_task_async_stream(TR_TASK_EACH(shrink, image), next_image, &number, &opts, &stream) == TR_OK);
    while (tr_task_stream_next(stream, &result) == TR_OK) {
        thumbnail small;
        size_t index = tr_task_stream_index(stream);
        tr_err err = TR_TASK_VALUE(result, thumbnail, &small);
        TR_CHECK((err == TR_OK && small.bytes == 100 + (int)index) ||
                 (err == TR_E_TIMEOUT && index == BROKEN));
        done += err == TR_OK;
    }
    tr_task_stream_close(stream); /* also in the middle: what still runs is stopped */
    printf("%d of %d thumbnails\n", done, IMAGES);
    TR_CHECK(done == IMAGES - 1);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
