const path = /\/[^/.]*$/;

exports.handler = async ({ Records: [{ cf }] }) => {
    const { request } = cf;
    if (path.test(request.uri)) {
        request.uri = request.uri.replace(/\/$/, '') + '/index.html';
    }
    return request;
};
