import cf from 'cloudfront';

const kvs = cf.kvs();

// Which variant a viewer sees is in a cookie; who has none is put into one by their address. The store says how many of a
// hundred see the new one, and where it is.
async function handler(event) {
    const request = event.request;
    if (!request.uri.startsWith('/shop/')) {
        return request;
    }
    let variant = request.cookies['variant'] ? request.cookies['variant'].value : undefined;
    if (variant !== 'a' && variant !== 'b') {
        const share = await kvs.get('share-of-b', { format: 'json' });
        let sum = 0;
        for (let i = 0; i < event.viewer.ip.length; i++) {
            sum = (sum * 31 + event.viewer.ip.charCodeAt(i)) % 100;
        }
        variant = sum < share.percent ? 'b' : 'a';
    }
    if (variant === 'b') {
        let prefix = '/shop-b/';
        try {
            prefix = await kvs.get('prefix-of-b');
        } catch (error) {
            console.log(`no prefix in the store: ${error}`);
        }
        request.uri = prefix + request.uri.substring('/shop/'.length);
    }
    request.headers['x-variant'] = { value: variant };
    return request;
}
